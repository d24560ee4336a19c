// What scripts share that drive Debian's Chromium: node SCRIPT PACKAGES GIVEN. PACKAGES is the folder that has what
// package.json names, GIVEN is what the test says, as JSON. A script declares its cases with node:test.
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/package.json`);
export const given = JSON.parse(process.argv[3]);
export const { WebSocketServer } = require('ws');

// When a case is called failed.
export const patience = 60_000;

// A browser that reaches this machine alone: *.localhost, and *.matrix.test in whatever certificate.
export async function launch() {
  return require('playwright-core').chromium.launch({
    executablePath: '/usr/bin/chromium',
    chromiumSandbox: process.getuid() !== 0,
    args: [
      '--disable-gpu', '--disable-background-networking', '--ignore-certificate-errors',
      '--host-resolver-rules=MAP *.matrix.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1',
    ],
  });
}

// Asks until it is true, for as long as anybody has patience.
export async function eventually(condition, what) {
  for (const end = Date.now() + patience; !(await condition());) {
    if (Date.now() > end) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
