// Somebody else at the same gateway: prints what events there are until a turn ends with this text.
// Usage: node watch.mjs PORT TOKEN TEXT
import { connect, said } from "./client.mjs";

const [port, token, text] = process.argv.slice(2);
const { client } = await connect({
  port,
  token,
  scopes: ["operator.read"],
  onEvent: (event) => {
    const { state, stream, reason } = event.payload ?? {};
    console.log(event.event, state ?? stream ?? reason ?? "");
    if (state === "final" && said(event) === text) client.stop();
  },
});
await client.request("sessions.subscribe", {});
console.log("watching");
