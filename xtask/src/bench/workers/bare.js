// The least that answers a turn: a Worker that asks the object of the conversation, which writes what was said, makes the two calls
// of a turn of plain chat, writes the reply and answers with it. It is the limit.

import { DurableObject } from "cloudflare:workers";

export class ConversationObject extends DurableObject {
  constructor(state, env) {
    super(state, env);
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT");
    this.padding = "so that it is as long ".repeat(Number(env.BODY_BYTES) / 22);
  }

  async fetch(request) {
    const { text } = await request.json();
    this.write(text);
    await this.call(this.env.CHOOSE, text);
    const reply = JSON.parse(await this.call("Say something", text)).text;
    this.write(reply);
    return Response.json({ replies: [{ text: reply }] });
  }

  write(text) {
    this.sql.exec("INSERT INTO log (text) VALUES (?)", text);
  }

  async call(task, said) {
    const content = `${task}\n${this.padding}\nUserUtter:${said}`;
    const response = await fetch(`${this.env.COTA_BENCH_LLM}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "scripted", messages: [{ role: "user", content }] }),
    });
    return (await response.json()).choices[0].message.content;
  }
}

export default {
  fetch(request, env) {
    const conversation = new URL(request.url).pathname.split("/")[3];
    return env.CONVERSATIONS.getByName(conversation).fetch(request);
  },
};
