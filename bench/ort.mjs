// The peer of the benchmarks: onnxruntime (float32, one thread) under Node. For every line "N" on stdin
// it runs the model N times and prints the N times in milliseconds on one line.
//   node ort.mjs MODULES_DIR MODEL.onnx INPUT DIM,DIM,...
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, model, name, dims] = process.argv.slice(2);
const ort = createRequire(modules + '/')('onnxruntime-node');
const shape = dims.split(',').map(Number);
const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
let state = 1;
for (let i = 0; i < data.length; i++) {
  state = (state * 1103515245 + 12345) % 2147483648;
  data[i] = state / 1073741824 - 1;
}
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', graphOptimizationLevel: 'all',
});
const feeds = { [name]: new ort.Tensor('float32', data, shape) };
const start = Date.now();
for (let i = 0; i < 5 && (i < 2 || Date.now() - start < 2000); i++) await session.run(feeds);
console.log('ready ' + (ort.env?.versions?.common ?? ''));
for await (const line of createInterface({ input: process.stdin })) {
  const times = [];
  for (let i = 0; i < Number(line); i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  console.log(times.join(' '));
}
