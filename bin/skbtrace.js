#!/usr/bin/env node
import('../dist/cli.js').catch((e) => {
  if (e.code !== 'ERR_MODULE_NOT_FOUND') throw e
  process.stderr.write('skbtrace: dist/cli.js is missing: run "npm ci" (or "npm run build") in the project first\n')
  process.exitCode = 2
})
