#!/usr/bin/env node
'use strict'
const { readFileSync } = require('node:fs')
const { join } = require('node:path')
const { pathToFileURL } = require('node:url')
const vm = require('node:vm')

// Most runs are over before optimized code pays: V8 is to watch a function for longer before it begins. Its flags for that differ
// from version to version (one it does not know it complains of): Node.js 20, 22 and 24 are known.
const later = { 11.3: ['--interrupt-budget=600000'] }
later[12.4] = later[13.6] = ['--invocation-count-for-maglev=4000', '--invocation-count-for-turbofan=30000']
const [version] = /^\d+\.\d+/.exec(process.versions.v8) ?? ['']
for (const flag of later[version] ?? []) require('node:v8').setFlagsFromString(flag)

const dist = join(__dirname, '..', 'dist')

/** what V8 compiled of that very text when it was built; a cache of another Node.js is refused by V8 and does no harm */
function cacheOf(filename, source) {
  try {
    const data = readFileSync(filename.replace(/js$/, 'cache'))
    return data.latin1Slice(0, 64) === source.slice(-64) ? data.subarray(64) : undefined
  } catch {
    return undefined
  }
}

const loaded = new Map()

/** runs a file of dist, once. Nobody looks at its exports here: those of cli.js are made when somebody first does */
function load(name) {
  let module = loaded.get(name)
  if (module === undefined) {
    const filename = join(dist, name)
    const source = readFileSync(filename, 'latin1')
    module = { exports: {} }
    loaded.set(name, module)
    const script = new vm.Script(source, { filename, cachedData: cacheOf(filename, source) })
    script.runInThisContext()(requireHere, module, module.exports)
  }
  return module
}

/** `require` for the files of dist; a module comes as a promise */
function requireHere(name) {
  if (!name.startsWith('./')) return require(name)
  if (name.endsWith('.mjs')) return import(pathToFileURL(join(dist, name)).href)
  return load(name).exports
}

try {
  load('./cli.js')
} catch (e) {
  if (e.code !== 'ENOENT' || e.path !== join(dist, 'cli.js')) throw e
  process.stderr.write('skbtrace: dist/cli.js is missing: run "npm ci" (or "npm run build") in the project first\n')
  process.exitCode = 2
}
