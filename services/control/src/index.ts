export { type ControlConfig, readConfig } from "./config.ts";
export { type Control, startControl } from "./control.ts";
