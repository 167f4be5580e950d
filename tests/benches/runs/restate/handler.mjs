// The services of the bench `runs` in Restate: steps are `ctx.run`, Restate's own durable step.
// Arguments: the folder whose node_modules has the SDK, and the port to listen on.
import { createRequire } from "node:module";

// The SDK asks for it, and Node.js has it from its version 22 on.
Promise.withResolvers ??= () => {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const [folder, port] = process.argv.slice(2);
const restate = createRequire(`${folder}/`)("@restatedev/restate-sdk");

const SIDES = 10;
const HOUR_MS = 3_600_000;

const runs = restate.service({
  name: "runs",
  handlers: {
    // Three steps, one after the other.
    chain: async (ctx, input) => {
      const one = await ctx.run("one", () => input);
      const two = await ctx.run("two", () => one);
      return await ctx.run("three", () => two);
    },
    // One step, ten beside each other, one.
    fan: async (ctx, input) => {
      const first = await ctx.run("first", () => input);
      const sides = Array.from({ length: SIDES }, (_, side) => ctx.run(`side${side}`, () => first));
      const all = await restate.RestatePromise.all(sides);
      return await ctx.run("last", () => all[0]);
    },
    // Three steps that take their time each.
    slow: async (ctx, { millis }) => {
      const wait = () => new Promise((done) => setTimeout(() => done({}), millis));
      for (const name of ["one", "two", "three"]) await ctx.run(name, wait);
      return {};
    },
  },
});

// Waits and is done with the worker at once: Restate holds it suspended, which takes it the least.
const waiting = restate.service({
  name: "waiting",
  options: { inactivityTimeout: { milliseconds: 1 } },
  handlers: {
    hour: async (ctx, input) => {
      const one = await ctx.run("one", () => input);
      await ctx.sleep(HOUR_MS);
      return one;
    },
  },
});

await restate.serve({ services: [runs, waiting], port: Number(port) });
