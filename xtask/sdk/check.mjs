// Calls every method of an Android box through the official JavaScript SDK of the npm registry (0.1, of before the API had
// its present form), against the simulator.
//
// Usage: node check.mjs BASE_URL [small|pixel]. Prints one line a call, "PASSED NAME" or "FAILED NAME: WHY", and leaves with 1 when one
// has failed.
import { File } from "node:buffer";
import { createRequire } from "node:module";
import path from "node:path";

// The SDK asks for it before Node 20 had it everywhere.
globalThis.File ??= File;

const require = createRequire(path.join(process.cwd(), "package.json"));
const sdkModule = require("gbox-sdk");
const GboxSDK = sdkModule.GboxSDK ?? sdkModule.default;
const { GboxClient, toFile } = sdkModule;

// Every method of the SDK notes that it was called, so that none is forgotten here.
const methods = new Set();
const called = new Set();

function watch(object) {
  const kind = Object.getPrototypeOf(object);
  if (kind.watched || kind === Object.prototype) return;
  kind.watched = true;
  for (const name of Object.getOwnPropertyNames(kind)) {
    const method = kind[name];
    if (name === "constructor" || name === "watched" || name === "syncData" || typeof method !== "function") continue;
    const shown = `${kind.constructor.name}.${name}`;
    methods.add(shown);
    kind[name] = function (...args) {
      called.add(shown);
      return method.apply(this, args);
    };
  }
}

const [baseURL, phone = "small"] = process.argv.slice(2);
const width = phone === "small" ? 192 : 540;
const sdk = new GboxSDK({ apiKey: "any", baseURL });
const raw = new GboxClient({ apiKey: "any", baseURL });
let failed = 0;

async function check(name, work, wanted = () => true) {
  try {
    const result = await work();
    if (!wanted(result)) throw new Error(`unexpected answer: ${JSON.stringify(result)?.slice(0, 300)}`);
    console.log(`PASSED ${name}`);
    return result;
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error?.message?.slice(0, 400)}`);
  }
}

async function refused(name, status, work) {
  await check(
    `${name} is refused with ${status}`,
    async () => {
      try {
        await work();
      } catch (error) {
        return error;
      }
      throw new Error("it was not refused");
    },
    (error) => error.status === status && error.error?.message?.length > 0,
  );
}

const isPicture = (uri) => {
  const start = "data:image/png;base64,";
  return uri.startsWith(start) && Buffer.from(uri.slice(start.length), "base64").readUInt32BE(16) === width;
};
// The old API gives pictures with every action.
const acted = ({ screenshot }) => isPicture(screenshot.before.uri) && isPicture(screenshot.after.uri) && isPicture(screenshot.highlight.uri);

// Boxes
const config = { labels: { suite: "check-js" }, envs: { CUA_SIM_SEED: "3", WORD: "hello" }, expiresIn: "10m" };
const box = await check(
  "sdk.create",
  () => sdk.create({ type: "android", config, wait: true, timeout: "60s" }),
  (box) => box.type === "android" && box.status === "running" && box.config.resolution.width === width && box.config.workingDir,
);
if (!box) process.exit(1);
const { boxes } = raw.v1;
const parts = [sdk, boxes, boxes.actions, boxes.android, boxes.browser, boxes.fs, box.action, box.browser, box.fs, box];
parts.forEach(watch);
// What all kinds of boxes have is one class above.
watch(Object.create(Object.getPrototypeOf(Object.getPrototypeOf(box))));
called.add("GboxSDK.create").add("Boxes.createAndroid");
await check("sdk.get", () => sdk.get(box.id), (got) => got.id === box.id && got.config.labels.suite === "check-js");
await check("sdk.list", () => sdk.list(), (list) => list.some(({ id }) => id === box.id));
await check("sdk.list with a query", () => sdk.list({ page: 1, pageSize: 5, status: "running", type: "android" }), (list) => list.length > 0);
await check("box.start", () => box.start(), (box) => box.status === "running");
await check("box.stop", () => box.stop(), (box) => box.id === config.id || box.status === "running");
await refused("a box that is not there", 404, () => sdk.get("nobody"));
await refused("a Linux box", 400, () => sdk.create({ type: "linux" }));
await refused("a wrong duration", 400, () => sdk.create({ type: "android", config: { expiresIn: "soon" } }));

// Commands
await check("box.command", () => box.command("echo $WORD"), (result) => result.stdout === "hello\n" && result.exitCode === 0);
await check("box.command of words", () => box.command(["echo", "a  b"]), (result) => result.stdout === "a  b\n");
await check(
  "box.command with options",
  () => box.command({ commands: ["echo $A", "pwd"], envs: { A: "1" }, timeout: "5s", workingDir: "/sdcard" }),
  (result) => result.exitCode === 0,
);
await check("box.runCode", () => box.runCode("echo one"), (result) => result.stdout === "one\n");
await check(
  "box.runCode with options",
  () => box.runCode({ code: "echo $1", argv: ["two"], language: "bash", timeout: "5s" }),
  (result) => result.stdout === "two\n",
);
await check("box.runCode without its language", () => box.runCode({ code: "print(1)", language: "python3" }), (result) => result.exitCode === 127);

// Actions
const { action } = box;
await check("click", () => action.click({ x: 1, y: 1, button: "left", double: false, outputFormat: "base64" }));
await check("the answer of a click", () => raw.v1.boxes.actions.click(box.id, { x: 1, y: 1 }), acted);
await check("drag", () => action.drag({ path: [{ x: 1, y: 60 }, { x: 2, y: 70 }], duration: "50ms" }), acted);
await check("press", () => action.press({ keys: ["Enter"] }), acted);
await check("press with old names", () => action.press({ keys: ["Control", "ArrowUp", "Esc"] }), acted);
await check("move", () => action.move({ x: 200, y: 300 }), acted);
await check("scroll", () => action.scroll({ x: 96, y: 190, scrollX: 0, scrollY: 100 }), acted);
await check("touch", () => action.touch({ points: [{ start: { x: 1, y: 60 } }] }), acted);
await check("type", () => action.type({ text: "hello" }), acted);
await check("screenshot", () => action.screenshot(), ({ uri }) => isPicture(uri));
await check(
  "screenshot of a part",
  () => action.screenshot({ clip: { x: 0, y: 0, width: 30, height: 40 }, outputFormat: "base64" }),
  ({ uri }) => uri.startsWith("data:image/png"),
);
await check("screenshot into the store", () => action.screenshot({ outputFormat: "storageKey" }), ({ uri }) => uri.startsWith("storage://"));
await refused("a wrong button", 400, () => action.click({ x: 1, y: 1, button: "double" }));
await refused("a click without a place", 400, () => action.click({}));
await refused("a wrong key", 400, () => action.press({ keys: ["AnyKey"] }));

// Files
await check("fs.write", () => box.fs.write({ path: "/sdcard/js/a.txt", content: "text" }), ({ message }) => message.length > 0);
await check("fs.read", () => box.fs.read("/sdcard/js/a.txt"), ({ content }) => content === "text");
await check("fs.read with options", () => box.fs.read({ path: "/sdcard/js/a.txt" }), ({ content }) => content === "text");
await check("fs.list", () => box.fs.list("/sdcard/js"), ({ data }) => data.length === 1 && data[0].type === "file" && data[0].name === "a.txt");
await check("fs.list with options", () => box.fs.list({ path: "/sdcard", depth: 2 }), ({ data }) => data.some((entry) => entry.path === "/sdcard/js/a.txt"));
await check("the shell sees it", () => box.command("cat /sdcard/js/a.txt"), ({ stdout }) => stdout === "text");
await refused("reading nothing", 404, () => box.fs.read("/none"));

// Apps
await check("install of a file", async () => box.install({ apk: await toFile(Buffer.from("PK\x03\x04"), "org.checked.js.apk") }));
await check("install of an address", () => box.install({ apk: "https://example.com/com.example.js.apk" }));
await check(
  "listApps",
  () => box.listApps(),
  ({ data }) => data.some((app) => app.packageName === "org.checked.js" && app.name && app.version && app.apkPath),
);
await check("android.get", () => raw.v1.boxes.android.get("com.android.settings", { id: box.id }), (app) => app.name === "Settings");
await check("the shell sees them", () => box.command("pm list packages -3"), ({ stdout }) => stdout === "package:com.example.js\npackage:org.checked.js\n");
await check("uninstall", () => box.uninstall("org.checked.js"));
await refused("taking out what is not there", 404, () => box.uninstall("org.checked.js"));

// Browser
await check("browser.connectUrl", () => box.browser.connectUrl(), ({ cdpUrl }) => cdpUrl.startsWith("ws://"));
const url = await check("browser.cdpUrl", () => box.browser.cdpUrl(), (url) => url.startsWith("ws://"));
if (typeof WebSocket !== "undefined") {
  await check(
    "a debugger's first question",
    () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(url);
        socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: "Browser.getVersion" }));
        socket.onmessage = ({ data }) => resolve(JSON.parse(data)) || socket.close();
        socket.onerror = () => reject(new Error("no connection"));
      }),
    ({ id, result }) => id === 1 && result.protocolVersion === "1.3",
  );
}

// The end
await check("sdk.delete", () => sdk.delete(box.id, { wait: true }));
await check("it can still be read", () => sdk.get(box.id), ({ status }) => status === "terminated");
await refused("no key", 401, () => new GboxClient({ apiKey: " ", baseURL }).v1.boxes.list());
if ([...methods].every((name) => called.has(name))) console.log(`PASSED all ${methods.size} methods were called`);
for (const forgotten of [...methods].filter((name) => !called.has(name)).sort()) {
  failed += 1;
  console.log(`FAILED ${forgotten}: it was not called here`);
}
process.exit(failed ? 1 : 0);
