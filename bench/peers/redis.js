// Debian's Redis, unpacked in build/peers/redis: a new server for each measurement, on a port of
// 127.0.0.1, with files in a directory of its own. It is as durable as Redis can be: each write is
// in the append-only file, synced, before it is answered. setpriv (util-linux) ends it with this
// program.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Client from 'ioredis';
import { RedisMeter } from './measure.js';

const SETTINGS = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'always',
    '--auto-aof-rewrite-percentage', '0', '--maxmemory-policy', 'noeviction'];

function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer().on('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

export class Redis {
    static async open(unpacked) {
        const server = new Redis();
        server.directory = mkdtempSync(join(tmpdir(), 'hf-redis-'));
        server.port = await freePort();
        const command = ['--pdeathsig', 'KILL', join(unpacked, 'usr/bin/redis-server'),
            '--port', String(server.port), '--bind', '127.0.0.1', '--dir', server.directory];
        server.child = spawn('setpriv', [...command, ...SETTINGS], {
            env: { ...process.env, LD_LIBRARY_PATH: join(unpacked, 'usr/lib/x86_64-linux-gnu') },
            stdio: 'ignore',
            detached: true,
        });
        server.gone = new Promise((resolve) => {
            server.child.once('exit', resolve).once('error', resolve);
        });
        server.client = new Client({ port: server.port, host: '127.0.0.1' });
        server.client.on('error', () => {}); // until it listens
        await Promise.race([server.client.ping(), server.gone.then(() => {
            server.client.disconnect();
            throw new Error('redis-server does not start');
        })]);
        return server;
    }

    get url() {
        return `redis://127.0.0.1:${this.port}`;
    }

    meter() {
        return new RedisMeter(this.child.pid, async () => {
            const info = await this.client.info('persistence');
            return Number(/aof_current_size:(\d+)/.exec(info)[1]);
        });
    }

    async close() {
        this.client.disconnect();
        this.child.kill('SIGTERM');
        await this.gone;
        rmSync(this.directory, { recursive: true, force: true });
    }
}
