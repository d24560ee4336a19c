#include "Access.h"

#include <matrixos/identity.hpp>
#include <matrixos/json_text.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <utility>

namespace matrixos::identity {

namespace {

/// What a share is found by. Addresses have a case only in theory (RFC 5321 §2.4): no provider keeps two apart by it.
std::string subjectIn(const Share &share) {
  return share.userId.empty() ? http::toLower(share.email) : share.userId;
}

} // namespace

void Access::apply(const InstanceRecord &record) {
  const ReaderLocks::Writing writing(locks_);
  const auto known = instances_.find(record.handle);
  if (known != instances_.end() && known->second.rev > record.rev) return;
  if (record.status == InstanceStatus::Deleted) {
    if (known == instances_.end()) return;
    handles_.erase(known->second.id);
    instances_.erase(known);
    return;
  }
  Instance &instance = known != instances_.end() ? known->second : instances_[record.handle];
  if (instance.id != record.id) handles_.erase(instance.id);
  instance = {record.id, record.clerkUserId, record.rev, round_};
  handles_[record.id] = record.handle;
}

void Access::synced() {
  const ReaderLocks::Writing writing(locks_);
  std::erase_if(instances_, [&](const auto &entry) {
    if (entry.second.round == round_) return false;
    handles_.erase(entry.second.id);
    return true;
  });
  ++round_;
}

void Access::setShares(const std::string &instanceId, std::vector<Share> shares) {
  const ReaderLocks::Writing writing(locks_);
  if (const auto before = shares_.find(instanceId); before != shares_.end()) {
    for (const Share &share : before->second)
      unindex(share);
    shares_.erase(before);
  }
  if (shares.empty()) return;
  for (const Share &share : shares) {
    std::uint32_t &role = subjectsOf(share)[subjectIn(share)][instanceId];
    role = std::max(role, share.role);
  }
  shares_.emplace(instanceId, std::move(shares));
}

std::vector<Share> Access::sharesOf(std::string_view instanceId) const {
  const ReaderLocks::Scanning scanning(locks_);
  const auto found = shares_.find(instanceId);
  return found == shares_.end() ? std::vector<Share>() : found->second;
}

void Access::unindex(const Share &share) {
  BySubject &all = subjectsOf(share);
  const auto subject = all.find(subjectIn(share));
  if (subject == all.end()) return; // there was another one with the same
  subject->second.erase(share.instanceId);
  if (subject->second.empty()) all.erase(subject);
}

std::uint32_t Access::roleIn(const Instance &instance, std::string_view userId, std::string_view email,
                             bool emailVerified) const {
  if (userId.empty()) return MOS_ROLE_NONE;
  if (instance.owner == userId) return MOS_ROLE_OWNER;
  const auto shares = shares_.find(instance.id);
  return shares == shares_.end() ? MOS_ROLE_NONE : roleIn(shares->second, userId, email, emailVerified);
}

std::uint32_t Access::roleIn(const std::vector<Share> &shares, std::string_view userId, std::string_view email,
                             bool emailVerified) {
  std::uint32_t role = MOS_ROLE_NONE;
  for (const Share &share : shares) {
    const bool meant =
        share.userId.empty() ? emailVerified && http::sameText(share.email, email) : share.userId == userId;
    if (meant) role = std::max(role, share.role);
  }
  return role;
}

std::string Access::sharedWith(const User &user) const {
  JsonObject out;
  const std::string email = user.emailVerified() ? http::toLower(user.email()) : std::string();
  const ReaderLocks::Reading reading(locks_);
  std::map<std::string_view, std::uint32_t> roles; // by id of the instance
  const auto collect = [&](const BySubject &all, std::string_view subject) {
    const auto found = all.find(subject);
    if (found == all.end()) return;
    for (const auto &[id, role] : found->second) {
      std::uint32_t &known = roles[id];
      known = std::max(known, role);
    }
  };
  collect(byUser_, user.id());
  collect(byEmail_, email);
  bool any = false;
  for (const auto &[id, role] : roles) {
    const auto handle = handles_.find(id);
    if (handle == handles_.end()) continue;
    out.add(handle->second, roleWord(role));
    any = true;
  }
  return any ? std::move(out).str() : std::string();
}

std::uint32_t Access::roleOf(std::string_view handle, std::string_view userId, std::string_view email,
                             bool emailVerified) const {
  const ReaderLocks::Reading reading(locks_);
  const auto instance = instances_.find(handle);
  return instance == instances_.end() ? MOS_ROLE_NONE : roleIn(instance->second, userId, email, emailVerified);
}

std::string Access::instanceIdOf(std::string_view handle) const {
  const ReaderLocks::Reading reading(locks_);
  const auto instance = instances_.find(handle);
  return instance == instances_.end() ? std::string() : instance->second.id;
}

std::vector<std::pair<std::string, std::uint32_t>> Access::ofUser(const User &user) const {
  std::vector<std::pair<std::string, std::uint32_t>> out;
  {
    const ReaderLocks::Scanning scanning(locks_);
    for (const auto &[handle, instance] : instances_) {
      const std::uint32_t role = roleIn(instance, user.id(), user.email(), user.emailVerified());
      if (role != MOS_ROLE_NONE) out.emplace_back(handle, role);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace matrixos::identity
