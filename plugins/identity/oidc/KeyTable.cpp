#include "KeyTable.h"

#include "JsonWebToken.h"

#include <matrixos/status.hpp>

#include <cstddef>

namespace matrixos::identity {

namespace {

constexpr std::size_t kMaxKeys = 64;

} // namespace

KeyTable KeyTable::ofJwks(const Json &document) {
  const auto bad = [](const char *why) {
    return Error(Status::InvalidArgument, std::string("the key set ") + why, "BAD_KEYS");
  };
  const auto keys = document.find("keys");
  if (keys == document.end() || !keys->is_array()) throw bad("has no list \"keys\"");
  if (keys->size() > kMaxKeys) throw bad("has more than 64 keys");
  KeyTable table;
  for (const Json &jwk : *keys) {
    auto key = PublicKey::fromJwk(jwk);
    if (!key) continue;
    const auto kid = jwk.find("kid");
    if (kid == jwk.end())
      table.keys_.emplace_back(std::nullopt, *std::move(key));
    else if (kid->is_string())
      table.keys_.emplace_back(kid->get<std::string>(), *std::move(key));
  }
  if (table.keys_.empty()) throw bad("has no key that signatures can be verified with");
  return table;
}

KeyTable KeyTable::ofPem(std::string_view pem) {
  KeyTable table;
  table.keys_.emplace_back(std::nullopt, PublicKey::fromPem(pem));
  table.anyKid_ = true;
  return table;
}

const PublicKey *KeyTable::find(const JsonWebToken &token) const {
  if (anyKid_) return &keys_.front().second;
  const PublicKey *named = nullptr, *fitting = nullptr;
  std::size_t fits = 0;
  for (const auto &[kid, key] : keys_) {
    const bool called = key.isCalled(token.algorithm());
    if (called && ++fits == 1) fitting = &key;
    if (token.kid() && kid == token.kid() && (named == nullptr || (called && !named->isCalled(token.algorithm()))))
      named = &key;
  }
  if (token.kid()) return named;
  return fits == 1 ? fitting : nullptr;
}

} // namespace matrixos::identity
