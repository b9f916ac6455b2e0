// Loaded into the server by --require: tells each second what only the process itself knows. Plain lines of JSON, into PROBE_FILE.

const { appendFileSync } = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const file = process.env.PROBE_FILE;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();
const tell = (facts) => appendFileSync(file, `${JSON.stringify({ at: Date.now(), ...facts })}\n`);

setInterval(() => {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  const ms = (nanoseconds) => Math.round(nanoseconds / 1e4) / 100;
  tell({ heapUsed, external, arrayBuffers, delayP99: ms(delay.percentile(99)), delayMax: ms(delay.max) });
  delay.reset();
}, 1000).unref();

// Looks on without taking the exception's effect away.
process.on('uncaughtExceptionMonitor', (error, origin) => tell({ uncaught: String(error), origin }));
process.on('warning', ({ name, message }) => tell({ warning: `${name}: ${message}` }));
