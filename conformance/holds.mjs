// Whether an expression is true of the ACP messages on standard input, one JSON text per line.
// It may use: `frames`, all of them; `updates`, what the agent reported; `text`, its answer;
// `answers`, the answers to requests; `result`, the last one; `deepEqual`.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual as deepEqual } from "node:util";

const frames = readFileSync(0, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const updates = frames
  .filter((frame) => frame.method === "session/update")
  .map((frame) => frame.params.update);
const text = updates
  .filter((update) => update.sessionUpdate === "agent_message_chunk")
  .map((update) => update.content.text)
  .join("");
const answers = frames.filter((frame) => "result" in frame || "error" in frame);
const scope = { frames, updates, text, result: answers.at(-1)?.result, answers, deepEqual };

const expression = process.argv[2];
const judge = new Function(...Object.keys(scope), `return (${expression});`);
if (judge(...Object.values(scope)) !== true) {
  console.error(`does not hold: ${expression}\nof:`);
  for (const frame of frames) console.error(JSON.stringify(frame));
  process.exit(1);
}
