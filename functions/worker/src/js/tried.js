// The Worker with the object that its tests ask.

import * as objects from "./index.js";
import { mortal } from "./panics.js";

export * from "./main.js";
export { default } from "./main.js";
export const TriedObject = mortal(objects.TriedObject);
