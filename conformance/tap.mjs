// Stands between a client and the gateway and writes down every frame, unchanged.
// Usage: node tap.mjs PORT_FILE GATEWAY_PORT FRAMES. FRAMES gets one line of JSON a frame.
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { WebSocket, WebSocketServer } from "ws";

const [portFile, gatewayPort, frames] = process.argv.slice(2);
const limit = 64 * 1024 * 1024;
let connections = 0;

// Codes that a socket reports but may not send.
const sendable = (code) => (code >= 1000 && code < 1004) || (code > 1006 && code < 1015) || code >= 3000;

function join(client, request) {
  const connection = (connections += 1);
  const { origin, host } = request.headers;
  const gateway = new WebSocket(`ws://127.0.0.1:${gatewayPort}${request.url}`, {
    headers: { host, ...(origin && { origin }) },
    maxPayload: limit,
  });
  const note = (what) => appendFileSync(frames, `${JSON.stringify({ connection, ...what })}\n`);
  const waiting = [];
  client.on("message", (data) => {
    note({ from: "client", frame: String(data) });
    if (gateway.readyState === WebSocket.OPEN) gateway.send(String(data));
    else waiting.push(String(data));
  });
  gateway.on("open", () => waiting.splice(0).forEach((data) => gateway.send(data)));
  gateway.on("message", (data) => {
    note({ from: "gateway", frame: String(data) });
    client.send(String(data));
  });
  const closes = (from, one, other) => {
    one.on("close", (code, reason) => {
      note({ from, close: code, reason: String(reason) });
      if (sendable(code)) other.close(code, reason);
      else if (code === 1005) other.close();
      else other.terminate();
    });
    one.on("error", (error) => note({ from, error: error.message }));
  };
  closes("client", client, gateway);
  closes("gateway", gateway, client);
}

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: limit });
server.on("connection", join);
server.on("listening", () => {
  writeFileSync(`${portFile}.new`, `${server.address().port}`);
  renameSync(`${portFile}.new`, portFile);
});
