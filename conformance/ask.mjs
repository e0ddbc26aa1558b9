// A page somewhere in a browser asks to be let in, and says what came of it as JSON.
// Usage: node ask.mjs PORT TOKEN KEYS. TOKEN may be `-`: then only the device's own token is shown.
import { connect, device } from "./client.mjs";

const [port, token, keys] = process.argv.slice(2);
const { deviceId } = device(keys);
const say = (what) => console.log(JSON.stringify({ deviceId, ...what }));
try {
  const { client, hello } = await connect({
    port,
    keys,
    ...(token !== "-" && { token }),
    origin: `http://127.0.0.1:${port}`,
    clientName: "openclaw-control-ui",
    mode: "webchat",
    platform: "Linux x86_64",
    role: "operator",
    scopes: ["operator.read"],
  });
  say({ hello });
  client.stop();
} catch (error) {
  say({ message: error.message, ...error.details });
}
