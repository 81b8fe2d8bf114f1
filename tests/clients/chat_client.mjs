// Node's `ws`: joins a room, says a line, and prints everything that it hears until it hears that line
// itself.
//
//     node chat_client.mjs FOLDER_OF_WS ws://HOST:PORT/ws TOKEN ROOM TEXT

import { createRequire } from "node:module";

const [folder, url, token, room, text] = process.argv.slice(2);
const WebSocket = createRequire(`${folder}/`)("ws");

const heard = [];
let said = false;
const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` }, perMessageDeflate: true });
const late = setTimeout(() => fail(`nothing ended after 60 s; heard ${JSON.stringify(heard)}`), 60_000);

function fail(why) {
  console.error(why);
  process.exit(1);
}

socket.on("open", () => socket.send(JSON.stringify({ type: "join", room })));
socket.on("message", (data, isBinary) => {
  if (isBinary) fail("a binary message came");
  const message = JSON.parse(data);
  heard.push(message);
  if (message.type === "presence" && !said) {
    // Everything of the past comes before this, so nothing is missed.
    said = true;
    socket.send(JSON.stringify({ type: "chat", content: text }));
  }
  if (message.type === "chat" && message.content === text) socket.ping();
});
socket.on("pong", () => socket.close(1000, "goodbye"));
socket.on("close", (code) => {
  clearTimeout(late);
  if (code !== 1000) fail(`closed with ${code}`);
  console.log(JSON.stringify(heard));
});
socket.on("error", (error) => fail(error.message));
