import { Hono } from "hono";

// Ponder wants an application; nobody asks this one.
export default new Hono();
