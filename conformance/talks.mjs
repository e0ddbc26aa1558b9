// A program that uses the library: asks, runs a turn, and counts the events.
// Usage: node talks.mjs PORT TOKEN
import assert from "node:assert/strict";
import { connect, said } from "./client.mjs";

const [port, token] = process.argv.slice(2);
const scopes = ["operator.admin"];
const { client, hello, seen, until } = await connect({ port, token, keys: "device.json", scopes });
assert.equal(hello.protocol, 4);
assert.deepEqual(hello.auth.scopes, scopes);

// Many requests at once are each answered.
const healths = await Promise.all(Array.from({ length: 100 }, () => client.request("health", {})));
assert.ok(healths.every(({ ok }) => ok === true));
await assert.rejects(client.request("no.such.method", {}), /unknown method: no\.such\.method/);

// A turn by `chat.send`: the answer at once, the words as they come, the end once.
const sessionKey = "agent:main:main";
await client.request("sessions.subscribe", {});
const begun = await client.request("chat.send", {
  sessionKey,
  message: "one two three four",
  idempotencyKey: "first",
});
assert.deepEqual([begun.runId, begun.status], ["first", "started"]);
const ofRun = (name, runId) => seen.events.filter(({ event, payload }) => event === name && payload.runId === runId);
await until("the end of the turn", () => ofRun("chat", "first").some(({ payload }) => payload.state === "final"));
const chat = ofRun("chat", "first");
const deltas = chat.filter(({ payload }) => payload.state === "delta");
assert.ok(deltas.length >= 2, `${deltas.length} deltas`);
assert.equal(deltas.map(({ payload }) => payload.deltaText).join(""), "echo: one two three four");
assert.equal(chat.filter(({ payload }) => payload.state === "final").length, 1);
assert.equal(said(chat.at(-1)), "echo: one two three four");
const phases = ofRun("agent", "first").filter(({ payload }) => payload.stream === "lifecycle");
assert.deepEqual(
  phases.map(({ payload }) => payload.data.phase).filter((phase) => ["start", "end", "error"].includes(phase)),
  ["start", "end"],
);

// The same message again is the same turn.
const again = await client.request("chat.send", { sessionKey, message: "one two three four", idempotencyKey: "first" });
assert.equal(again.status, "ok");

// A turn by `agent`: two answers to one request.
let accepted;
const turn = await client.request(
  "agent",
  { message: "five", idempotencyKey: "second", sessionKey },
  { expectFinal: true, onAccepted: (payload) => (accepted = payload) },
);
assert.equal(accepted.status, "accepted");
assert.equal(turn.status, "ok");
assert.equal(turn.result.payloads[0].text, "echo: five");
const waited = await client.request("agent.wait", { runId: turn.runId, timeoutMs: 10_000 });
assert.equal(waited.status, "ok");

// What was said is there afterwards, with what a client needs to tell its own rows.
const history = await client.request("chat.history", { sessionKey });
assert.deepEqual(history.messages.map(({ role }) => role), ["user", "assistant", "user", "assistant"]);
assert.equal(history.messages[0].idempotencyKey, "first:user");

// Events have numbers without a gap.
const numbers = seen.events.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq);
assert.deepEqual(numbers, numbers.map((_, index) => index + 1));
assert.deepEqual(seen.gaps, []);
client.stop();
