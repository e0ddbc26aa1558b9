// A device that has nothing but a setup code is let in by it once, and then has a token of its own.
// Usage: node uses-a-setup-code.mjs PORT CODE
import assert from "node:assert/strict";
import { connect, device } from "./client.mjs";

const [port, code] = process.argv.slice(2);
const { url, bootstrapToken } = JSON.parse(Buffer.from(code, "base64url"));
assert.match(url, /^wss?:\/\//);
const person = { clientName: "openclaw-ios", mode: "ui", platform: "iOS", deviceFamily: "iPhone", role: "operator" };
const scopes = ["operator.read", "operator.write"];

const first = await connect({ port, keys: "phone.json", ...person, scopes, bootstrapToken });
assert.deepEqual(first.hello.auth.scopes.toSorted(), scopes);
assert.equal(first.hello.auth.deviceToken, device("phone.json").tokens.operator.token);
first.client.stop();

const again = await connect({ port, keys: "phone.json", ...person });
assert.deepEqual(again.hello.auth.scopes.toSorted(), scopes);
again.client.stop();

await assert.rejects(connect({ port, keys: "other.json", ...person, scopes, bootstrapToken }));
