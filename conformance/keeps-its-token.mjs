// A device that was let in once comes back with its own token alone, and not after it was revoked.
// Usage: node keeps-its-token.mjs PORT TOKEN
import assert from "node:assert/strict";
import { connect, device } from "./client.mjs";

const [port, token] = process.argv.slice(2);
const keys = "device.json";
const scopes = ["operator.read", "operator.write"];
// The library's own name is for programs that show the secret each time and get no token.
const person = { clientName: "test", mode: "test" };
const stored = () => device(keys).tokens.operator;

const first = await connect({ port, token, keys, scopes, ...person });
assert.equal(first.hello.auth.deviceToken, stored().token);
assert.notEqual(stored().token, token);
first.client.stop();

const before = stored().token;
const second = await connect({ port, keys, ...person });
assert.deepEqual(second.hello.auth.scopes.toSorted(), scopes);
await second.client.request("sessions.list", {});
await assert.rejects(second.client.request("config.set", { raw: "{}" }), ({ code, message }) =>
  /missing scope|unknown method/.test(message));
assert.equal(stored().token, before);

// More than it was given is not to be had with its token.
await assert.rejects(connect({ port, keys, ...person, deviceToken: before, scopes: ["operator.admin"] }));

// Who may manage devices takes it away: the open connection ends, and the token is worth nothing.
const owner = await connect({ port, token, scopes: ["operator.admin"] });
await owner.client.request("device.token.revoke", { deviceId: device(keys).deviceId, role: "operator" });
await second.until("the end of the connection", ({ closes }) => closes.some(({ code }) => code === 4001));
second.client.stop();
await assert.rejects(connect({ port, keys, ...person }), /mismatch|revoked|unauthorized|pairing/i);
owner.client.stop();
