// The service's own client against the double: what it sends is understood, what it gets back is what it was given.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.UPSTASH_URL, token: process.env.UPSTASH_TOKEN, retry: false, enableTelemetry: false });

test("texts and objects come back", async () => {
  assert.equal(await redis.set("text", "Grüße, 北京 🌦️ \u0000 \"quoted\""), "OK");
  assert.equal(await redis.get("text"), "Grüße, 北京 🌦️ \u0000 \"quoted\"");
  await redis.set("object", { a: [1, "two", null] });
  assert.deepEqual(await redis.get("object"), { a: [1, "two", null] });
  assert.equal(await redis.get("nothing"), null);
  assert.equal(await redis.ping(), "PONG");
});

test("hashes, lists and sorted sets", async () => {
  assert.equal(await redis.hset("hash", { one: "1st", two: "2nd" }), 2);
  assert.deepEqual(await redis.hgetall("hash"), { one: "1st", two: "2nd" });
  assert.equal(await redis.rpush("list", "a", "b", "c"), 3);
  assert.deepEqual(await redis.lrange("list", 1, -1), ["b", "c"]);
  assert.equal(await redis.zadd("due", { score: 1700000000123, member: "key" }), 1);
  assert.deepEqual(await redis.zrange("due", 0, -1, { withScores: true }), ["key", 1700000000123]);
});

test("a script runs with its keys and arguments, by its text and by its hash", async () => {
  const script = "redis.call('SET', KEYS[1], ARGV[1]); return {redis.call('GET', KEYS[1]), false, 7}";
  assert.deepEqual(await redis.eval(script, ["{tag}k"], ["value"]), ["value", null, 7]);
  const hash = await redis.scriptLoad(script);
  assert.deepEqual(await redis.evalsha(hash, ["{tag}k"], ["other"]), ["other", null, 7]);
});

test("a pipeline answers in order", async () => {
  const pipeline = redis.pipeline();
  pipeline.set("n", 1).incr("n").get("n");
  assert.deepEqual(await pipeline.exec(), ["OK", 2, 2]);
});

test("a pipeline's error spoils no other command", async () => {
  const pipeline = redis.pipeline();
  pipeline.set("word", "x").incr("word").get("word");
  const answers = await pipeline.exec({ keepErrors: true });
  assert.deepEqual([answers[0].result, answers[2].result], ["OK", "x"]);
  assert.match(answers[1].error, /not an integer/);
});

test("a transaction is done as a whole", async () => {
  const transaction = redis.multi();
  transaction.set("m", 5).incrby("m", 3);
  assert.deepEqual(await transaction.exec(), ["OK", 8]);
});

test("an error is Redis' own", async () => {
  await redis.set("word", "x");
  await assert.rejects(redis.lpush("word", "y"), /WRONGTYPE/);
  await assert.rejects(redis.eval("return nonsense(", [], []), /ERR/);
});

test("whoever has no token is refused", async () => {
  const stranger = new Redis({ url: process.env.UPSTASH_URL, token: "wrong", retry: false, enableTelemetry: false });
  await assert.rejects(stranger.get("text"), /WRONGPASS/);
});
