export type { ChildService } from "./child-service.ts";
export { type Customer, createCustomer } from "./customer.ts";
export { type Local, type LocalOptions, startLocal } from "./local.ts";
export { withKey } from "./with-key.ts";
