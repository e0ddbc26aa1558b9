// The published client library with what it leaves to its host: keys and tokens of a device.
import { createHash, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { GatewayClient } from "@openclaw/gateway-client";

const rawKey = (pem) =>
  createPublicKey(pem).export({ type: "spki", format: "der" }).subarray(-32);

// device: the keys in this file, made if there are none yet, and the tokens they were given.
export function device(file) {
  if (!existsSync(file)) {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const publicKeyPem = publicKey.export({ type: "spki", format: "pem" });
    const privateKeyPem = privateKey.export({ type: "pkcs8", format: "pem" });
    const deviceId = createHash("sha256").update(rawKey(publicKeyPem)).digest("hex");
    writeFileSync(file, JSON.stringify({ deviceId, publicKeyPem, privateKeyPem, tokens: {} }));
  }
  return JSON.parse(readFileSync(file));
}

function hostOf(file) {
  const change = (edit) => {
    const now = device(file);
    edit(now.tokens);
    writeFileSync(file, JSON.stringify(now));
  };
  return {
    signDevicePayload: (pem, payload) => sign(null, Buffer.from(payload), pem).toString("base64url"),
    publicKeyRawBase64UrlFromPem: (pem) => rawKey(pem).toString("base64url"),
    loadDeviceAuthToken: ({ role }) => device(file).tokens[role] ?? null,
    storeDeviceAuthToken: ({ role, token, scopes }) => change((tokens) => (tokens[role] = { token, scopes })),
    clearDeviceAuthToken: ({ role }) => change((tokens) => delete tokens[role]),
  };
}

// connect: a client after its hello. `keys` names the file of its device; the rest is the library's.
// `seen` has every event, every gap in their numbers, every hello and every close.
export function connect({ port, keys, ...options }) {
  const seen = { events: [], gaps: [], hellos: [], closes: [] };
  const waiting = new Set();
  const look = () => waiting.forEach((check) => check());
  // until: resolves once this is true of what was seen.
  const until = (what, truth, seconds = 30) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => done(() => reject(new Error(`never seen: ${what}`))), seconds * 1000);
      const done = (end) => (clearTimeout(timer), waiting.delete(check), end());
      const check = () => truth(seen) && done(resolve);
      waiting.add(check);
      check();
    });
  return new Promise((resolve, reject) => {
    const client = new GatewayClient({
      url: `ws://127.0.0.1:${port}`,
      minProtocol: 4,
      maxProtocol: 4,
      ...(keys && { deviceIdentity: device(keys), hostDeps: hostOf(keys) }),
      onHelloOk: (hello) => (seen.hellos.push(hello), look(), resolve({ client, hello, seen, until })),
      onEvent: (event) => (seen.events.push(event), look()),
      onGap: (gap) => seen.gaps.push(gap),
      onClose: (code, reason) => (seen.closes.push({ code, reason }), look()),
      onConnectError: (error) => (reject(error), client.stop()),
      ...options,
    });
    client.start();
  });
}

// said: the text of a chat event's message.
export function said({ payload }) {
  const content = payload.message?.content ?? [];
  return typeof content === "string" ? content : content.map((part) => part.text ?? "").join("");
}
