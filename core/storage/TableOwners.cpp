#include "storage/TableOwners.h"

#include <algorithm>

namespace matrixos::storage {
namespace {

/// "hook-sender" has hook_sender and hook_sender_…; how much of the name its id is, or 0.
std::size_t idPart(const std::string &owner, const std::string &table) {
  std::string id = owner;
  std::replace(id.begin(), id.end(), '-', '_');
  if (table.compare(0, id.size(), id) != 0) return 0;
  return table.size() == id.size() || table[id.size()] == '_' ? id.size() : 0;
}

bool covers(const std::vector<std::string> &patterns, const std::string &table) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string &pattern) { return claimCovers(pattern, table); });
}

} // namespace

std::string tableKey(std::string_view name) {
  std::string key(name);
  std::transform(key.begin(), key.end(), key.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return key;
}

bool isCoreTable(std::string_view key) noexcept {
  return key == "schema_migrations" || key.substr(0, 9) == "matrixos_";
}

bool claimCovers(std::string_view pattern, std::string_view key) {
  const std::string lower = tableKey(pattern);
  if (lower.empty() || lower.back() != '*') return key == lower;
  return key.substr(0, lower.size() - 1) == std::string_view(lower).substr(0, lower.size() - 1);
}

const std::string *TableNames::ownerOf(const std::string &table) const {
  const auto found = owners.find(table);
  return found == owners.end() ? nullptr : &found->second;
}

bool TableNames::isTied(const std::string &table, const std::string &owner) const {
  const auto owns = [&](const std::string &other) {
    const std::string *has = ownerOf(other);
    return has != nullptr && *has == owner;
  };
  return std::any_of(ties.begin(), ties.end(), [&](const auto &tie) {
    return (tie.first == table && owns(tie.second)) || (tie.second == table && owns(tie.first));
  });
}

std::shared_ptr<const TableNames> TableOwners::names() const {
  const std::lock_guard lock(mutex_);
  return names_;
}

void TableOwners::publish(TableNames names) {
  auto made = std::make_shared<const TableNames>(std::move(names));
  const std::lock_guard lock(mutex_);
  names_.swap(made);
}

void TableOwners::expect(Claims claims) {
  const std::lock_guard lock(mutex_);
  claims_ = std::move(claims);
}

bool TableOwners::declaresNames(const std::string &owner) const {
  const std::lock_guard lock(mutex_);
  const auto found = claims_.find(owner);
  return found != claims_.end() && !found->second.empty();
}

bool TableOwners::hasName(const std::string &owner, const std::string &table) const {
  const std::lock_guard lock(mutex_);
  const auto found = claims_.find(owner);
  if (found == claims_.end() || found->second.empty()) return idPart(owner, table) > 0;
  return covers(found->second, table);
}

std::string TableOwners::holderOf(const std::string &table, const std::string &besides) const {
  const std::size_t own = idPart(besides, table);
  for (const auto &[owner, patterns] : claims_) {
    if (owner == besides) continue;
    // Of runtime and runtime-x, which both declare nothing, the latter has runtime_x_….
    if (patterns.empty() ? idPart(owner, table) > own : covers(patterns, table)) return owner;
  }
  return {};
}

std::string TableOwners::whyNotMake(const std::string &owner, const std::string &table) const {
  if (isCoreTable(table)) return "the name " + table + " belongs to the platform";
  const std::lock_guard lock(mutex_);
  const auto own = claims_.find(owner);
  const bool declares = own != claims_.end() && !own->second.empty();
  if (declares && covers(own->second, table)) return {};
  if (const std::string holder = holderOf(table, owner); !holder.empty())
    return "the name " + table + " belongs to " + holder;
  return declares ? owner + " does not claim the name " + table : std::string();
}

std::string TableOwners::conflict(const std::string &owner) const {
  const std::lock_guard lock(mutex_);
  const auto own = claims_.find(owner);
  if (own == claims_.end()) return {};
  for (const auto &[table, has] : names_->owners) {
    if (has.empty() || has == owner) continue;
    for (const std::string &pattern : own->second) {
      if (claimCovers(pattern, table))
        return "it claims the table " + pattern + ", but " + table + " belongs to " + has;
    }
  }
  return {};
}

void TableOwners::noteReplayed(const std::string &owner) {
  const std::lock_guard lock(mutex_);
  replayed_.insert(owner);
}

bool TableOwners::wasReplayed(const std::string &owner) const {
  const std::lock_guard lock(mutex_);
  return replayed_.count(owner) != 0;
}

} // namespace matrixos::storage
