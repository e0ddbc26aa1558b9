// A model server that speaks OpenAI's chat completions and has nothing to say of its own.
// Usage: node model.mjs PORT_FILE. It writes its port there once it listens on loopback.
//
// The answer to TEXT is "echo: TEXT", word by word; the answer to "hang" begins and never ends.
import { createServer } from "node:http";
import { renameSync, writeFileSync } from "node:fs";

// text: what a message says, whether it is one text or a list of parts.
const text = (content) =>
  typeof content === "string"
    ? content
    : (content ?? []).map((part) => part.text ?? "").join("");

// answer: the words of the answer to the last thing the user said.
function answer({ messages }) {
  const said = text(messages.findLast((message) => message.role === "user")?.content);
  return `echo: ${said}`.split(/(?<= )/);
}

async function complete(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  body = JSON.parse(body);
  const words = answer(body);
  const about = { id: "chatcmpl-1", created: 1, model: body.model };
  const usage = { prompt_tokens: 7, completion_tokens: words.length, total_tokens: 7 + words.length };
  if (!body.stream) {
    const message = { role: "assistant", content: words.join("") };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...about, object: "chat.completion", choices, usage }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (more) => {
    const chunk = { ...about, object: "chat.completion.chunk", ...more };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const choice = (delta, finish_reason = null) => send({ choices: [{ index: 0, delta, finish_reason }] });
  choice({ role: "assistant", content: "" });
  for (const content of words) {
    choice({ content });
    // A client sees a stream only if there is time between its parts.
    await new Promise((done) => setTimeout(done, 20));
  }
  if (words.at(-1) === "hang") return;
  choice({}, "stop");
  send({ choices: [], usage });
  response.end("data: [DONE]\n\n");
}

const server = createServer((request, response) => {
  if (request.method === "POST" && request.url === "/v1/chat/completions") {
    complete(request, response).catch((error) => response.destroy(error));
  } else {
    response.writeHead(404).end();
  }
});
server.listen(0, "127.0.0.1", () => {
  const file = process.argv[2];
  writeFileSync(`${file}.new`, `${server.address().port}`);
  renameSync(`${file}.new`, file);
});
