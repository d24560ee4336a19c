#include "Shares.h"

#include "Operators.h"

#include <matrixos/status.hpp>
#include <matrixos/ulid.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <map>
#include <utility>

namespace matrixos::identity {

namespace {

bool isForTheSame(const Share &a, const Share &b) {
  return a.userId == b.userId && http::sameText(a.email, b.email);
}

} // namespace

void Shares::load() {
  std::map<std::string, std::vector<Share>> all;
  sql_.query("SELECT id, instance_id, user_id, email, role, created_at FROM identity_shares ORDER BY id", {},
             [&](const SqlRow &row) {
               all[row.text(1)].push_back({row.text(0), row.text(1), row.text(2), row.text(3),
                                           static_cast<std::uint32_t>(row.integer(4)), row.integer(5)});
             });
  for (auto &[instance, shares] : all)
    access_.setShares(instance, std::move(shares));
}

std::string Shares::instanceOf(std::string_view handle) const {
  std::string id = access_.instanceIdOf(handle);
  if (id.empty()) throw Error(Status::NotFound, "there is no such handle", "NO_INSTANCE");
  return id;
}

std::vector<Share> Shares::of(std::string_view handle) const {
  return access_.sharesOf(instanceOf(handle));
}

Share Shares::add(std::string_view handle, Share what, std::string_view createdBy) {
  if (what.userId.empty() == what.email.empty())
    throw Error(Status::InvalidArgument,
                "give either a user or an email address: \"user\" or \"email\" (--user, --email)", "BAD_FIELD");
  if (!User::isWord(what.userId + what.email) || (!what.email.empty() && emailDomain(what.email).empty()))
    throw Error(Status::InvalidArgument, "that is no user id or email address", "BAD_FIELD");
  const std::lock_guard lock(changing_);
  what.instanceId = instanceOf(handle);
  what.id = makeUlid();
  what.createdAt = now_();
  std::vector<Share> shares = access_.sharesOf(what.instanceId);
  const auto before =
      std::find_if(shares.begin(), shares.end(), [&](const Share &share) { return isForTheSame(share, what); });
  if (before != shares.end()) {
    what.id = before->id;
    what.createdAt = before->createdAt;
    shares.erase(before);
    sql_.execBatch({{"UPDATE identity_shares SET role = ? WHERE id = ?", {std::int64_t{what.role}, what.id}, 1}});
  } else {
    if (shares.size() >= kMostOfInstance)
      throw Error(Status::ResourceExhausted, "this instance is shared with too many people", "TOO_MANY_SHARES");
    sql_.execBatch(
        {{"INSERT INTO identity_shares (id, instance_id, user_id, email, role, created_by, created_at) "
          "VALUES (?, ?, ?, ?, ?, ?, ?)",
          {what.id, what.instanceId, what.userId, what.email, std::int64_t{what.role}, createdBy, what.createdAt}}});
  }
  shares.push_back(what);
  keep(handle, what.instanceId, std::move(shares));
  return what;
}

/// In memory. The instance may have gone meanwhile, and been forgotten; who is told of that later forgets it again.
void Shares::keep(std::string_view handle, const std::string &instanceId, std::vector<Share> shares) {
  access_.setShares(instanceId, std::move(shares));
  if (access_.instanceIdOf(handle) != instanceId) forget(instanceId);
}

bool Shares::remove(std::string_view handle, std::string_view id) {
  const std::lock_guard lock(changing_);
  const std::string instance = instanceOf(handle);
  std::vector<Share> shares = access_.sharesOf(instance);
  if (std::erase_if(shares, [&](const Share &share) { return share.id == id; }) == 0) return false;
  // In memory first: nobody comes in by it even where the database cannot say so now.
  keep(handle, instance, std::move(shares));
  sql_.execBatch({{"DELETE FROM identity_shares WHERE id = ?", {id}}});
  return true;
}

void Shares::forget(const std::string &instanceId) {
  access_.setShares(instanceId, {});
  const std::lock_guard lock(mutex_);
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
