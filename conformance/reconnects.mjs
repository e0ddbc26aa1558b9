// A client whose gateway is started again finds back by itself. Says `connected` when that may happen.
// Usage: node reconnects.mjs PORT TOKEN
import assert from "node:assert/strict";
import { connect } from "./client.mjs";

const [port, token] = process.argv.slice(2);
const { client, seen, until } = await connect({ port, token, keys: "device.json", scopes: ["operator.admin"] });
console.log("connected");
await until("a second hello", ({ hellos }) => hellos.length === 2, 60);
assert.deepEqual(seen.closes[0], { code: 1012, reason: "service restart" });
assert.ok(seen.events.some(({ event }) => event === "shutdown"));
assert.equal((await client.request("health", {})).ok, true);
assert.deepEqual(seen.gaps, []);
client.stop();

// What it was given before is good afterwards.
const again = await connect({ port, keys: "device.json" });
assert.deepEqual(again.hello.auth.scopes, ["operator.admin"]);
again.client.stop();
