// Cloudflare's own client against the double: what it writes it reads again, and what is refused it tells as it tells the service's.
import assert from "node:assert/strict";
import { test } from "node:test";
import Cloudflare from "cloudflare";

const { CLOUDFLARE_URL, CLOUDFLARE_TOKEN, CLOUDFLARE_ACCOUNT, CLOUDFLARE_NAMESPACE } = process.env;
const client = (apiToken) => new Cloudflare({ apiToken, baseURL: CLOUDFLARE_URL, maxRetries: 0 });
const { values } = client(CLOUDFLARE_TOKEN).kv.namespaces;
const place = { account_id: CLOUDFLARE_ACCOUNT, namespace_id: CLOUDFLARE_NAMESPACE };
const name = "cota/bots/weather/pointer";

test("a value with metadata comes back", async () => {
  await values.update(name, { ...place, value: "Grüße, 北京", metadata: JSON.stringify({ size: 14 }) });
  const answer = await values.get(name, place);
  assert.equal(await answer.text(), "Grüße, 北京");
});

test("a name without a value is not found, and has the code of that", async () => {
  await assert.rejects(values.get("nothing", place), (error) => {
    assert.equal(error.status, 404);
    assert.equal(error.errors[0].code, 10009);
    return true;
  });
});

test("another token and another namespace are refused", async () => {
  await assert.rejects(client("wrong").kv.namespaces.values.get(name, place), { status: 403 });
  await assert.rejects(values.get(name, { ...place, namespace_id: "none" }), { status: 404 });
});
