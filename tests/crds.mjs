// What is wrong with a custom resource, by @kubernetes-models. A question a line on stdin, {model, kind, document}; an
// answer a line on stdout, {mistakes}. The argument is the folder of the packages.
//
// The packages carry schemas as code, and open: what a schema does not name passes. That code asks an object for every
// field that its schema names, whether it is there or not. So each object notes what it is asked for, and what nobody
// asks for is a field that nobody knows. Asked for nothing at all, it is one whose schema leaves it free.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { argv, stdin } from "node:process";
import { pathToFileURL } from "node:url";

const isObject = (value) => typeof value === "object" && value !== null;

function watched(document) {
  const asked = new Map(); // object or list: the names of the fields it was asked for
  const watchers = new Map();
  const watch = (value) => {
    if (!isObject(value)) return value;
    if (!watchers.has(value)) {
      asked.set(value, new Set());
      const get = (object, name) => {
        asked.get(object).add(name);
        return watch(object[name]);
      };
      watchers.set(value, new Proxy(value, { get }));
    }
    return watchers.get(value);
  };
  return { asked, watcher: watch(document) };
}

function* unknown(value, asked, place = []) {
  if (!isObject(value)) return;
  const names = asked.get(value);
  if (!names?.size) return;
  for (const [name, inner] of Object.entries(value)) {
    const here = [...place, name];
    if (!Array.isArray(value) && !names.has(name)) yield `${here.join(".")}: the schema knows no such field`;
    else if (inner === null) yield `${here.join(".")}: null`; // the code lets it stand for any field left out
    else yield* unknown(inner, asked, here);
  }
}

const place = (pointer) =>
  pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~")).join(".");

async function mistakes({ model, kind, document }) {
  const Kind = (await import(pathToFileURL(join(argv[2], model))))[kind];
  const { asked, watcher } = watched(document);
  const found = [];
  try {
    Kind.prototype.validate.call(watcher); // `new Kind` would copy the document, and ask it for all it has
  } catch (error) {
    if (!error.errors) throw error;
    found.push(...error.errors.map(({ instancePath, message }) => `${place(instancePath)}: ${message}`));
  }
  return [...found, ...unknown(document, asked)];
}

for await (const line of createInterface({ input: stdin }))
  console.log(JSON.stringify({ mistakes: await mistakes(JSON.parse(line)) }));
