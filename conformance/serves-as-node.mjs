// A node by the published library: it offers a command, which is closed until somebody approves it.
// Usage: node serves-as-node.mjs PORT TOKEN
import assert from "node:assert/strict";
import { connect, device } from "./client.mjs";

const [port, token] = process.argv.slice(2);
const owner = await connect({ port, token, keys: "device.json", scopes: ["operator.admin"] });
const ask = (method, params) => owner.client.request(method, params);

const node = await connect({
  port,
  token,
  keys: "node.json",
  clientName: "node-host",
  mode: "node",
  role: "node",
  scopes: [],
  caps: ["camera"],
  commands: ["camera.snap"],
  onEvent: ({ event, payload }) => {
    if (event !== "node.invoke.request") return;
    const { id, nodeId, paramsJSON } = payload;
    node.client.request("node.invoke.result", { id, nodeId, ok: true, payload: JSON.parse(paramsJSON) });
  },
});
assert.deepEqual([node.hello.auth.role, node.hello.auth.scopes], ["node", []]);
await assert.rejects(node.client.request("sessions.list", {}), /unauthorized role/);

const nodeId = device("node.json").deviceId;
const snap = { nodeId, command: "camera.snap", params: { width: 7 }, timeoutMs: 10_000 };
await assert.rejects(ask("node.invoke", { ...snap, idempotencyKey: "1" }));
const { pending } = await ask("node.pair.list", {});
await ask("node.pair.approve", { requestId: pending[0].requestId });
const { payload } = await ask("node.invoke", { ...snap, idempotencyKey: "2" });
assert.deepEqual(payload, { width: 7 });

await node.client.request("node.event", { event: "seen", payload: {} });
assert.deepEqual((await node.client.request("node.pending.pull", {})).actions, []);
const { nodes } = await ask("node.list", {});
assert.ok(nodes.some((one) => one.nodeId === nodeId && one.connected));
await ask("node.describe", { nodeId });
await ask("node.rename", { nodeId, displayName: "camera" });
await ask("node.pair.remove", { nodeId });
await assert.rejects(ask("node.invoke", { ...snap, idempotencyKey: "3" }));
node.client.stop();
owner.client.stop();
