#include "Shares.h"

#include "Operators.h"

#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <algorithm>

namespace matrixos::identity {

namespace {

bool isSubject(std::string_view text) noexcept {
  return !text.empty() && text.size() <= User::kMostText &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool isForTheSame(const Share &a, const Share &b) {
  return a.userId == b.userId && isSameEmail(a.email, b.email);
}

} // namespace

void Shares::load() {
  std::map<std::string, std::vector<Share>, std::less<>> all;
  sql_.query("SELECT id, instance_id, user_id, email, role, created_at FROM identity_shares ORDER BY id", {},
             [&](const SqlRow &row) {
               all[row.text(1)].push_back({row.text(0), row.text(1), row.text(2), row.text(3),
                                           static_cast<std::uint32_t>(row.integer(4)), row.integer(5)});
             });
  for (const auto &[instance, shares] : all)
    access_.setShares(instance, shares);
  const std::lock_guard lock(mutex_);
  byInstance_.swap(all);
}

std::string Shares::instanceOf(std::string_view handle) const {
  std::string id = access_.instanceIdOf(handle);
  if (id.empty()) throw Error(Status::NotFound, "there is no such handle", "NO_INSTANCE");
  return id;
}

std::vector<Share> Shares::of(std::string_view handle) const {
  const std::string instance = instanceOf(handle);
  const std::lock_guard lock(mutex_);
  const auto found = byInstance_.find(instance);
  return found == byInstance_.end() ? std::vector<Share>() : found->second;
}

Share Shares::add(std::string_view handle, Share what, std::string_view createdBy) {
  if (what.userId.empty() == what.email.empty())
    throw Error(Status::InvalidArgument, "share with one \"user\" or one \"email\"", "BAD_FIELD");
  if (!isSubject(what.userId + what.email) || (!what.email.empty() && emailDomain(what.email).empty()))
    throw Error(Status::InvalidArgument, "nobody can be called so", "BAD_FIELD");
  what.instanceId = instanceOf(handle);
  what.id = makeUlid();
  what.createdAt = now_();
  if (const auto before = sameAs(what)) {
    what.id = before->id;
    what.createdAt = before->createdAt;
    sql_.execBatch({{"UPDATE identity_shares SET role = ? WHERE id = ?", {std::int64_t{what.role}, what.id}, 1}});
  } else {
    sql_.execBatch(
        {{"INSERT INTO identity_shares (id, instance_id, user_id, email, role, created_by, created_at) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)",
          {what.id, what.instanceId, what.userId, what.email, std::int64_t{what.role}, createdBy, what.createdAt}}});
  }
  const std::lock_guard lock(mutex_);
  std::vector<Share> &shares = byInstance_[what.instanceId];
  std::erase_if(shares, [&](const Share &share) { return share.id == what.id; });
  shares.push_back(what);
  access_.setShares(what.instanceId, shares);
  return what;
}

/// The share of the same instance with the same person. Throws Error(ResourceExhausted) where no other fits.
std::optional<Share> Shares::sameAs(const Share &what) const {
  const std::lock_guard lock(mutex_);
  const auto found = byInstance_.find(what.instanceId);
  if (found == byInstance_.end()) return {};
  for (const Share &share : found->second)
    if (isForTheSame(share, what)) return share;
  if (found->second.size() >= kMostOfInstance)
    throw Error(Status::ResourceExhausted, "this instance is shared with too many people", "TOO_MANY_SHARES");
  return {};
}

bool Shares::remove(std::string_view handle, std::string_view id) {
  const std::string instance = instanceOf(handle);
  {
    // In memory first: nobody comes in by it even where the database cannot say so now.
    const std::lock_guard lock(mutex_);
    const auto found = byInstance_.find(instance);
    if (found == byInstance_.end()) return false;
    if (std::erase_if(found->second, [&](const Share &share) { return share.id == id; }) == 0) return false;
    access_.setShares(instance, found->second);
  }
  sql_.execBatch({{"DELETE FROM identity_shares WHERE id = ?", {id}}});
  return true;
}

void Shares::forget(const std::string &instanceId) {
  const std::lock_guard lock(mutex_);
  if (byInstance_.erase(instanceId) == 0) return;
  access_.setShares(instanceId, {});
  gone_.push_back(instanceId);
}

void Shares::flush() {
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    gone.swap(gone_);
  }
  for (const std::string &instance : gone)
    sql_.execBatch({{"DELETE FROM identity_shares WHERE instance_id = ?", {instance}}});
}

} // namespace matrixos::identity
