// Checks every frame of the gateway in files written by tap.mjs against the published schemas.
// Usage: node check-frames.mjs FRAMES…
// Prints what does not hold, and the methods and events for which nothing is published.
import { readFileSync } from "node:fs";
import { eventSchema, faults, hasParts, payloadFaults, resultSchema } from "./schemas.mjs";

const found = new Map();
const without = { methods: new Set(), events: new Set() };
let checked = 0;

function fault(where, words) {
  const key = `${where}: ${words}`;
  found.set(key, (found.get(key) ?? 0) + 1);
}

function response(frame, method) {
  for (const words of faults("ResponseFrame", frame)) fault(method, words);
  if (!frame.ok) return;
  // The first of two answers only says that there will be a second one.
  if (frame.payload?.status === "accepted") return;
  const schema = resultSchema(method);
  if (!schema && !hasParts(method)) without.methods.add(method);
  for (const words of payloadFaults(schema, method, frame.payload)) fault(method, words);
}

function event(frame) {
  for (const words of faults("EventFrame", frame)) fault(frame.event, words);
  const schema = eventSchema(frame.event);
  if (!schema && !hasParts(frame.event)) without.events.add(frame.event);
  for (const words of payloadFaults(schema, frame.event, frame.payload)) fault(frame.event, words);
}

for (const file of process.argv.slice(2)) {
  const asked = new Map();
  for (const line of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const { connection, from, frame } = JSON.parse(line);
    if (!frame) continue;
    const said = JSON.parse(frame);
    if (from === "client") {
      asked.set(`${connection} ${said.id}`, said.method);
      continue;
    }
    checked += 1;
    if (said.type === "res") response(said, asked.get(`${connection} ${said.id}`) ?? "?");
    else event(said);
  }
}
console.log(`${checked} frames checked`);
for (const [kind, names] of Object.entries(without)) {
  if (names.size) console.log(`${kind} without a published schema: ${[...names].sort().join(", ")}`);
}
for (const [words, times] of found) console.log(`FAULT ${words} (${times} times)`);
process.exitCode = found.size ? 1 : 0;
