// Whether expressions are true of a JSON text, which they call `it`.
// Usage: node true-of.mjs FILE EXPRESSION…
import { readFileSync } from "node:fs";

const [file, ...expressions] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
// A client may say something to people first.
const it = JSON.parse(text.slice(text.search(/^[[{]/m)));
for (const expression of expressions) {
  if (new Function("it", `return (${expression});`)(it) === true) continue;
  console.error(`does not hold: ${expression}\nof: ${JSON.stringify(it)}`);
  process.exitCode = 1;
}
