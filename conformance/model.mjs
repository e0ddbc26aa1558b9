// A model server that speaks OpenAI's chat completions and has nothing to say of its own.
// Usage: node model.mjs PORT_FILE. It writes its port there once it listens on loopback.
//
// What the last message of the user says decides the answer:
//   spawn TASK   a call of the tool `sessions_spawn` with this task, if the request has the tool
//   hang         a beginning, and then nothing more
//   TEXT         "echo: TEXT", word by word
// After a tool's result it says "tool said: RESULT".
import { createServer } from "node:http";
import { renameSync, writeFileSync } from "node:fs";

const text = (content) =>
  typeof content === "string"
    ? content
    : (content ?? []).map((part) => part.text ?? "").join("");

// answer: the parts of the assistant's message, in the order they are streamed.
function answer({ messages, tools = [] }) {
  const last = messages.at(-1);
  if (last.role === "tool") return [{ content: `tool said: ${text(last.content)}` }];
  const said = text(messages.findLast((message) => message.role === "user")?.content);
  const task = /^spawn (.*)/s.exec(said)?.[1];
  if (task && tools.some((tool) => tool.function?.name === "sessions_spawn")) {
    const call = { name: "sessions_spawn", arguments: JSON.stringify({ task }) };
    return [{ tool_calls: [{ index: 0, id: "call_1", type: "function", function: call }] }];
  }
  return `echo: ${said}`.split(/(?<= )/).map((content) => ({ content }));
}

function whole(parts) {
  const content = parts.map((part) => part.content ?? "").join("");
  return { role: "assistant", content, tool_calls: parts[0].tool_calls };
}

async function complete(request, response) {
  let body = "";
  for await (const piece of request) body += piece;
  body = JSON.parse(body);
  const parts = answer(body);
  const about = { id: "chatcmpl-1", created: 1, model: body.model };
  const usage = { prompt_tokens: 7, completion_tokens: parts.length, total_tokens: 7 + parts.length };
  const finish_reason = parts[0].tool_calls ? "tool_calls" : "stop";
  if (!body.stream) {
    const choices = [{ index: 0, message: whole(parts), finish_reason }];
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ ...about, object: "chat.completion", choices, usage }));
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  const send = (choice) => {
    const choices = [{ index: 0, finish_reason: null, ...choice }];
    const chunk = { ...about, object: "chat.completion.chunk", choices };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  send({ delta: { role: "assistant", content: "" } });
  for (const delta of parts) {
    send({ delta });
    // A client sees a stream only if there is time between its parts.
    await new Promise((done) => setTimeout(done, 20));
  }
  if (parts.at(-1).content === "hang") return;
  send({ delta: {}, finish_reason });
  response.write(`data: ${JSON.stringify({ ...about, object: "chat.completion.chunk", choices: [], usage })}\n\n`);
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
