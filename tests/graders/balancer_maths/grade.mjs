// Answers one JSON line a case: {"f": function of balancer-maths, "a": arguments as decimal strings
// (lists allowed)} becomes {"r": result} or {"e": reason}.
import { createInterface } from "node:readline";
import * as maths from "@balancer-labs/balancer-maths";

const integers = (value) => (Array.isArray(value) ? value.map(integers) : BigInt(value));

for await (const line of createInterface({ input: process.stdin })) {
  const { f, a } = JSON.parse(line);
  let answer;
  try {
    answer = { r: maths[f](...a.map(integers)).toString() };
  } catch (error) {
    answer = { e: String(error.message ?? error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
