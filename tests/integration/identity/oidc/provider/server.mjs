// node server.mjs usual|other CALLBACK…: a certified OpenID provider on a free port of 127.0.0.1, which it prints. Whoever types a
// name is signed in. Has a client and a key for each algorithm, "RS256" with the secret "secret of RS256", and so on;
// "public" has no secret. Usual: claims are at the userinfo endpoint alone, clients show their secret in the header.
// Other: claims stand in the ID token, secrets in the form.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const [kind, ...callbacks] = process.argv.slice(2);
const kinds = {
  RS256: ['rsa', { modulusLength: 2048 }],
  PS256: ['rsa', { modulusLength: 2048 }],
  ES256: ['ec', { namedCurve: 'P-256' }],
  EdDSA: ['ed25519', {}],
};
const keys = Object.entries(kinds).map(([alg, [type, options]]) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), kid: `key-${alg}`, use: 'sig', alg,
}));
const usual = kind === 'usual';
const method = usual ? 'client_secret_basic' : 'client_secret_post';
const client = (id, alg, more = {}) => ({
  client_id: id, client_secret: `secret of ${id}`, redirect_uris: callbacks, id_token_signed_response_alg: alg,
  token_endpoint_auth_method: method, ...more,
});

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: [
      ...Object.keys(kinds).map((alg) => client(alg, alg)),
      client('public', 'ES256', { client_secret: undefined, token_endpoint_auth_method: 'none' }),
    ],
    jwks: { keys },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(kinds) },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
    conformIdTokenClaims: usual,
    clientAuthMethods: [method, 'none'],
    cookies: { keys: ['only for tests'] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@ok.com`, email_verified: true, name: `The ${id}`, preferred_username: id }),
    }),
  });
  server.on('request', provider.callback());
  console.log(`port ${port}`);
});
