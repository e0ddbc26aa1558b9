// Asks for every method the gateway advertises, with parameters that the published schemas allow.
// Usage: node everything.mjs PORT TOKEN
import assert from "node:assert/strict";
import { connect, device } from "./client.mjs";
import { faults, paramsSchema } from "./schemas.mjs";

const [port, token] = process.argv.slice(2);
const { client, hello } = await connect({ port, token, keys: "device.json", scopes: ["operator.admin"] });
const sessionKey = "agent:main:main";
const other = "agent:main:dashboard:other";
const own = device("device.json").deviceId;
const spare = await connect({ port, token, keys: "spare.json", scopes: ["operator.read"] });
const spareId = device("spare.json").deviceId;
spare.client.stop();

// Without somebody to decide, a request for approval is over at once.
const approver = await connect({ port, token, keys: "approver.json", scopes: ["operator.approvals"], caps: ["approvals", "exec-approvals", "plugin-approvals"] });

// A request of each kind that somebody has to decide.
const pending = (keys) =>
  connect({ port, token, keys, origin: `http://127.0.0.1:${port}`, clientName: "openclaw-control-ui", mode: "webchat", scopes: ["operator.read"] })
    .then(() => assert.fail("let in"), ({ details }) => details.requestId);
const exec = async () =>
  (await client.request("exec.approval.request", { command: "true", host: "gateway", sessionKey, timeoutMs: 60_000, twoPhase: true })).id;
const plugin = async () =>
  (await client.request("plugin.approval.request", { title: "one", description: "two", timeoutMs: 60_000, twoPhase: true })).id;

// What comes first makes what comes after mean something. A function may ask for what it needs.
const calls = {
  "sessions.create": { key: other },
  "chat.send": { sessionKey, message: "hello", idempotencyKey: "run-1" },
  "agent.wait": { runId: "run-1", timeoutMs: 20_000 },
  agent: { message: "again", idempotencyKey: "run-2", sessionKey },
  "sessions.send": { key: other, message: "hello", idempotencyKey: "run-3" },
  "chat.inject": { sessionKey, message: "by hand" },
  "chat.history": { sessionKey },
  "chat.startup": { sessionKey },
  "chat.metadata": {},
  "chat.abort": { sessionKey },
  "sessions.preview": { keys: [sessionKey] },
  "sessions.describe": { key: sessionKey },
  "sessions.resolve": { key: sessionKey },
  "sessions.get": { key: sessionKey },
  "sessions.patch": { key: sessionKey, label: "a label" },
  "sessions.abort": { key: sessionKey },
  "sessions.messages.subscribe": { key: sessionKey },
  "sessions.messages.unsubscribe": { key: sessionKey },
  "sessions.compact": { key: other },
  "sessions.reset": { key: other },
  "sessions.delete": { key: other },
  "agent.identity.get": { agentId: "main" },
  "device.pair.approve": async () => ({ requestId: await pending("approved.json") }),
  "device.pair.reject": async () => ({ requestId: await pending("rejected.json") }),
  "device.pair.rename": { deviceId: spareId, label: "spare" },
  "device.pair.setupStatus": async () => {
    const { setupId } = await client.request("device.pair.setupCode", {});
    return { setupId };
  },
  "device.token.rotate": { deviceId: spareId, role: "operator" },
  "device.token.revoke": { deviceId: spareId, role: "operator" },
  "device.pair.remove": { deviceId: spareId },
  "exec.approval.request": { command: "true", host: "gateway", sessionKey, timeoutMs: 60_000, twoPhase: true },
  "exec.approval.get": async () => ({ id: await exec() }),
  "exec.approval.resolve": async () => ({ id: await exec(), decision: "deny" }),
  "plugin.approval.request": { title: "one", description: "two", timeoutMs: 60_000, twoPhase: true },
  "plugin.approval.resolve": async () => ({ id: await plugin(), decision: "deny" }),
  "exec.approval.waitDecision": async () => {
    const id = await exec();
    await approver.client.request("exec.approval.resolve", { id, decision: "allow-once" });
    return { id };
  },
  "plugin.approval.waitDecision": async () => {
    const id = await plugin();
    await approver.client.request("plugin.approval.resolve", { id, decision: "deny" });
    return { id };
  },
  "device.scopes.requestUpgrade": { scopes: ["operator.admin"] },
  "device.scopes.waitUpgrade": async () =>
    await client.request("device.scopes.requestUpgrade", { scopes: ["operator.admin"] }),
  "approval.get": async () => ({ id: await exec() }),
  "approval.resolve": async () => ({ id: await exec(), kind: "exec", decision: "deny" }),
};

// Methods of ours that OpenClaw has not.
Object.assign(calls, {
  "sessions.spawn": { task: "hello", runtime: "local" },
  "sessions.show": { session: "sess_main" },
  "sessions.history": { session: "sess_main" },
  "sessions.kill": async () => {
    const { sessionId: session } = await client.request("sessions.spawn", { task: "hang", runtime: "local" });
    return { session };
  },
  "sessions.export": { session: "sess_main" },
  "sessions.watch": { session: "sess_main" },
  "tasks.get": async () => {
    const { runId: taskId } = await client.request("sessions.spawn", { task: "hello", runtime: "local" });
    return { taskId };
  },
  "tasks.dismiss": { taskIds: ["nothing"] },
  "tasks.retry": { taskIds: ["nothing"] },
  "device.pair.explain": { id: own },
  "device.pair.clear": { pendingOnly: true },
});

// Not asked, with the reason. What nodes and others ask of each other is in serves-as-node.mjs.
const left = {
  connect: "the handshake",
  "gateway.stop": "ends the gateway",
  send: "there is no channel to send over",
  "sessions.yield": "for runs alone",
};

const refused = [];
const names = [...new Set([...Object.keys(calls), ...hello.features.methods])]
  .filter((name) => hello.features.methods.includes(name) && !(name in left) && !name.startsWith("node."));
for (const name of names) {
  const entry = calls[name] ?? {};
  const params = typeof entry === "function" ? await entry() : entry;
  const schema = paramsSchema(name);
  assert.deepEqual(schema ? faults(schema, params) : [], [], `our own parameters for ${name}`);
  try {
    await client.request(name, params, { expectFinal: name === "agent", timeoutMs: 30_000 });
    console.log("ok", name);
  } catch (error) {
    refused.push(name);
    console.log("REFUSED", name, error.code, error.message);
  }
}
client.stop();
approver.client.stop();
assert.deepEqual(refused, [], "advertised and refused");
