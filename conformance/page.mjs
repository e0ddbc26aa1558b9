// The Control UI in headless Chromium: opens it, waits to be approved, and runs one turn.
// Usage: node page.mjs CHROMIUM PORT TOKEN FRAMES
// Says `asks REQUEST` when it waits for approval. FRAMES gets every frame, as from tap.mjs.
import { appendFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [executablePath, port, token, frames] = process.argv.slice(2);
const quiet = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const browser = await chromium.launch({ executablePath, headless: true, args: quiet });
const page = await browser.newPage();
page.setDefaultTimeout(60_000);
page.on("console", (message) => console.log("console:", message.text()));
page.on("response", (response) => response.status() >= 400 && console.log(response.status(), response.url()));

// request: the id of the request for approval, once there is one; hello: once it was let in.
let connections = 0;
const request = Promise.withResolvers();
const hello = Promise.withResolvers();
page.on("websocket", (socket) => {
  const connection = (connections += 1);
  const note = (from) => ({ payload }) => {
    appendFileSync(frames, `${JSON.stringify({ connection, from, frame: String(payload) })}\n`);
    if (from === "client") return;
    const frame = JSON.parse(payload);
    if (frame.payload?.type === "hello-ok") hello.resolve("let in");
    const { code, requestId } = frame.error?.details ?? {};
    if (code === "PAIRING_REQUIRED") request.resolve(requestId);
  };
  socket.on("framesent", note("client"));
  socket.on("framereceived", note("gateway"));
});

try {
  await page.goto(`http://127.0.0.1:${port}/#token=${token}`);
  console.log("asks", await request.promise);
  // The newer page tries again by itself, the older one when it is told to.
  const again = page.getByRole("button", { name: "Connect", exact: true });
  while (!(await Promise.race([hello.promise, page.waitForTimeout(2000)]))) {
    if (await again.isVisible()) await again.click();
  }
  const composer = page.getByPlaceholder(/^Message/).last();
  await composer.fill("hello page");
  await composer.press("Enter");
  await page.getByText("echo: hello page", { exact: true }).first().waitFor();
  console.log("answered");
} catch (error) {
  console.log(await page.locator("body").innerText().catch(String));
  throw error;
} finally {
  await browser.close();
}
