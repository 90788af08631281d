// Public keys and what they signed, as the platform checks it.

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const P256 = { name: "ECDSA", namedCurve: "P-256" };

/** The RSA key of these numbers, in base64url. Fails when there is no such key. */
export async function rsa(n, e) {
  return crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, RSA, false, ["verify"]);
}

/** The key that is this point of P-256, its coordinates in base64url. Fails when it is not on the curve. */
export async function p256(x, y) {
  return crypto.subtle.importKey("jwk", { kty: "EC", crv: "P-256", x, y }, P256, false, ["verify"]);
}

/** Whether the owner of this key signed this. Bytes that the script gives are in its memory, so they are copied. */
export async function signed(key, bytes, signature) {
  return crypto.subtle.verify({ name: key.algorithm.name, hash: "SHA-256" }, key, signature.slice(), bytes.slice());
}
