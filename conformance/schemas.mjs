// The published JSON schemas of @openclaw/gateway-protocol, and what of ours they are for.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv";

const require = createRequire(import.meta.url);
const directory = require.resolve("@openclaw/gateway-protocol/version").replace(/dist\/.*/, "");
const published = JSON.parse(readFileSync(`${directory}protocol.schema.json`));
const definitions = published.definitions;

// Fields of ours that a published schema does not know, by schema: an answer to our own clients
// and to OpenClaw's at once. Anything else that is unknown to a schema is a fault.
const beyond = JSON.parse(readFileSync(new URL("beyond.json", import.meta.url)));

const ajv = new Ajv({ strict: false, allErrors: true, verbose: true });
ajv.addSchema(published, "published");

// Results whose schema has another name than the method.
const results = {
  "agent.identity.get": "AgentIdentityResult",
  "config.schema": "ConfigSchemaResponse",
  "exec.approvals.get": "ExecApprovalsSnapshot",
  "device.scopes.waitUpgrade": "ScopeUpgradeResult",
  connect: "HelloOk",
};

const events = {
  agent: "AgentEvent",
  chat: "ChatEvent",
  shutdown: "ShutdownEvent",
  tick: "TickEvent",
};

// Parts of a payload that have a schema where the whole has none.
const parts = {
  "sessions.list": ({ sessions }) => sessions.map((row) => ["SessionRow", row]),
  "sessions.describe": ({ session }) => (session ? [["SessionRow", session]] : []),
  "sessions.changed": ({ session }) => (session ? [["SessionRow", session]] : []),
  "session.message": ({ session }) => (session ? [["SessionRow", session]] : []),
  "chat.history": ({ sessionInfo }) => (sessionInfo ? [["SessionRow", sessionInfo]] : []),
  "chat.startup": ({ sessionInfo, agentsList }) => [
    ...(sessionInfo ? [["SessionRow", sessionInfo]] : []),
    ...(agentsList ? [["AgentsListResult", agentsList]] : []),
  ],
  "system-presence": (entries) => entries.map((entry) => ["PresenceEntry", entry]),
  "tasks.get": ({ task }) => [["TaskSummary", task]],
  presence: ({ presence }) => presence.map((entry) => ["PresenceEntry", entry]),
};

const pascal = (name) =>
  String(name).split(/[.\-]/).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join("");

const known = (name) => (name in definitions ? name : undefined);
export const resultSchema = (method) => results[method] ?? known(`${pascal(method)}Result`);
export const paramsSchema = (method) => known(`${pascal(method)}Params`);
export const eventSchema = (event) => events[event] ?? known(`${pascal(event)}Event`);
export const hasParts = (name) => name in parts;

// Schemas that are one of several: which one a value is meant to be.
const variants = {
  ChatEvent: ({ state }) => known(`Chat${pascal(state)}Event`),
  ScopeUpgradeResult: ({ status }) => known(`ScopeUpgrade${pascal(status)}`),
};

// faults: what a value has that the schema of this name does not allow, in words.
export function faults(name, value) {
  const schema = variants[name]?.(value) ?? name;
  const allowed = new Set(beyond[name]);
  const rest = JSON.parse(JSON.stringify(value), (key, field) => (allowed.has(key) ? undefined : field));
  const validate = ajv.getSchema(`published#/definitions/${schema}`);
  if (validate(rest)) return [];
  const words = new Set();
  for (const { keyword, instancePath, params, data, message } of validate.errors) {
    const where = schema + instancePath.replace(/\/\d+(?=\/|$)/g, "[]");
    if (keyword === "additionalProperties") {
      words.add(`${where}.${params.additionalProperty} is unknown there`);
    } else if (keyword === "required") {
      words.add(`${where}.${params.missingProperty} is missing`);
    } else {
      words.add(`${where} ${message}${"allowedValue" in params ? ` ${JSON.stringify(params.allowedValue)}` : ""}, is ${JSON.stringify(data)?.slice(0, 60)}`);
    }
  }
  return [...words];
}

// payloadFaults: the same for the payload of a method or an event, by its whole or its parts.
export function payloadFaults(schema, name, payload) {
  if (schema) return faults(schema, payload);
  return (parts[name]?.(payload) ?? []).flatMap(([part, value]) => faults(part, value));
}
