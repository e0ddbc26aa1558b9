// The command line's own device, as it would connect on a Mac.
// Usage: node moved.mjs PORT TOKEN IDENTITY
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "./client.mjs";

const [port, token, identity] = process.argv.slice(2);
// A version that has no keys until it needs them gets some.
if (existsSync(identity)) {
  writeFileSync("moved.json", JSON.stringify({ ...JSON.parse(readFileSync(identity)), tokens: {} }));
}
const { client } = await connect({
  port,
  token,
  keys: "moved.json",
  clientName: "cli",
  mode: "cli",
  platform: "darwin",
  deviceFamily: "Mac",
  scopes: ["operator.read"],
});
client.stop();
