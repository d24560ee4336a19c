#include "ApiTokens.h"

#include <matrixos/identity.hpp>
#include <matrixos/names.hpp>
#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <http/codec/Bearer.h>

#include <algorithm>
#include <array>

namespace matrixos::identity {

namespace {

constexpr std::int64_t kLongestMs = std::int64_t{366} * 24 * 3600 * 1000;
constexpr std::array<std::string_view, 12> kScopes{"*",
                                                   "audit:read",
                                                   "instances:proxy",
                                                   "instances:read",
                                                   "instances:write",
                                                   "platform:read",
                                                   "platform:write",
                                                   "tokens:write",
                                                   "usage:read",
                                                   "usage:write",
                                                   "users:read",
                                                   "users:write"};

std::string allScopes() {
  std::string out;
  for (const std::string_view scope : kScopes)
    out.append(out.empty() ? "" : ", ").append(scope);
  return out;
}

std::string joined(const std::vector<std::string> &scopes) {
  if (scopes.empty()) throw Error(Status::InvalidArgument, "a token has at least one scope", "BAD_SCOPE");
  std::string out;
  for (const std::string &scope : scopes) {
    if (std::find(kScopes.begin(), kScopes.end(), scope) == kScopes.end())
      throw Error(Status::InvalidArgument, shown(scope) + " is no scope; there are: " + allScopes(), "BAD_SCOPE");
    if (!hasScope(out, scope)) out += (out.empty() ? "" : " ") + scope;
  }
  return out;
}

} // namespace

void ApiTokens::load() {
  sql_.execBatch({{"DELETE FROM identity_tokens WHERE expires_at <= ?", {now_()}}});
  decltype(byHash_) all;
  sql_.query("SELECT hash, id, name, scopes, created_by, created_at, expires_at FROM identity_tokens", {},
             [&](const SqlRow &row) {
               all[Digest::fromHex(row.text(0))] = std::make_shared<const ApiToken>(
                   ApiToken{row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5), row.integer(6)});
             });
  const ReaderLocks::Writing writing(locks_);
  byHash_.swap(all);
}

std::shared_ptr<const ApiToken> ApiTokens::find(std::string_view authorization) const {
  const std::string_view token = http::apiToken(authorization);
  if (token.empty()) return nullptr;
  const DigestKey key = Digest::of(token);
  const ReaderLocks::Reading reading(locks_);
  const auto found = byHash_.find(key);
  return found != byHash_.end() && now_() < found->second->expiresAt ? found->second : nullptr;
}

std::vector<ApiToken> ApiTokens::list() const {
  std::vector<ApiToken> out;
  {
    const ReaderLocks::Scanning scanning(locks_);
    for (const auto &[key, token] : byHash_)
      if (now_() < token->expiresAt) out.push_back(*token);
  }
  std::sort(out.begin(), out.end(), [](const ApiToken &a, const ApiToken &b) { return a.id > b.id; });
  return out;
}

/// Tokens that have expired take up none.
void ApiTokens::requireRoom() {
  const std::int64_t now = now_();
  sql_.execBatch({{"DELETE FROM identity_tokens WHERE expires_at <= ?", {now}}});
  const ReaderLocks::Writing writing(locks_);
  std::erase_if(byHash_, [&](const auto &entry) { return entry.second->expiresAt <= now; });
  if (byHash_.size() >= kMost) throw Error(Status::ResourceExhausted, "there are too many tokens", "TOO_MANY_TOKENS");
}

ApiTokens::Made ApiTokens::make(const std::string &name, const std::vector<std::string> &scopes, std::int64_t ttlMs,
                                std::string_view createdBy) {
  if (!isEngineName(name))
    throw Error(Status::InvalidArgument, "a name has letters, digits and . _ - alone", "BAD_NAME");
  if (ttlMs <= 0 || ttlMs > kLongestMs)
    throw Error(Status::InvalidArgument, "\"ttl\" is a duration of at most 366 days", "BAD_TTL");
  requireRoom();
  Made made{{makeUlid(), name, joined(scopes), std::string(createdBy), now_(), now_() + ttlMs},
            std::string(http::kApiTokenPrefix) + makeId()};
  const Digest digest = Digest::of(made.secret);
  const ApiToken &token = made.token;
  sql_.execBatch(
      {{"INSERT INTO identity_tokens (id, hash, name, scopes, created_by, created_at, expires_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?)",
        {token.id, digest.hex(), token.name, token.scopes, token.createdBy, token.createdAt, token.expiresAt}}});
  const auto kept = std::make_shared<const ApiToken>(token);
  const ReaderLocks::Writing writing(locks_);
  byHash_[digest] = kept;
  return made;
}

bool ApiTokens::remove(std::string_view id) {
  {
    // In memory first: it is worth nothing even where the database cannot say so now.
    const ReaderLocks::Writing writing(locks_);
    if (std::erase_if(byHash_, [&](const auto &entry) { return entry.second->id == id; }) == 0) return false;
  }
  sql_.execBatch({{"DELETE FROM identity_tokens WHERE id = ?", {id}}});
  return true;
}

} // namespace matrixos::identity
