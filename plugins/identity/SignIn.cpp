#include "SignIn.h"

#include <matrixos/status.hpp>

#include <http/codec/Grammar.h>

#include <algorithm>
#include <utility>

namespace matrixos::identity {

namespace {

Error refused(const char *message) {
  return {Status::Unauthenticated, message, "SIGN_IN"};
}

std::string callbackOf(const OurHost &at) {
  return at.origin(kConsole) + "/auth/callback";
}

} // namespace

/// Notes how it ends.
template <typename Finish>
auto SignIn::counted(Finish &&finish) {
  const auto count = [this](End end) { ++ended_[static_cast<std::size_t>(end)]; };
  try {
    auto done = finish();
    count(End::Done);
    return done;
  } catch (const Error &e) {
    count(e.status() == Status::Unauthenticated ? End::Refused : End::Failed);
    throw;
  } catch (...) {
    count(End::Failed);
    throw;
  }
}

SignIn::Begun SignIn::begin(const OurHost &at, std::string_view browser, std::string returnTo) {
  Begun out;
  out.browser = isId(browser) ? std::string(browser) : makeId();
  SignInStart start = provider_.begin(callbackOf(at));
  out.location = std::move(start.location);
  pending_.put(Digest::of(start.state),
               {Digest::of(out.browser), std::move(start.secret), callbackOf(at), std::move(returnTo)},
               sessions_.now());
  return out;
}

SignIn::Done SignIn::finish(const OurHost &at, std::string_view browser,
                            const std::multimap<std::string, std::string> &query) {
  return counted([&] { return comeBack(at, browser, query); });
}

std::string SignIn::redeem(const std::string &token) {
  return counted([&] { return sessions_.begin(checked(provider_.redeem(token))); });
}

SignIn::Done SignIn::comeBack(const OurHost &at, std::string_view browser,
                              const std::multimap<std::string, std::string> &query) {
  const auto state = query.find("state");
  // RFC 6749 §3.1: none comes twice.
  const bool isDoubled =
      std::any_of(query.begin(), query.end(), [&](const auto &parameter) { return query.count(parameter.first) > 1; });
  if (state == query.end() || isDoubled) throw refused("this is no way back from signing in");
  const auto pending = pending_.take(Digest::of(state->second), sessions_.now());
  // Somebody else's sign-in is not gone on with, and none twice.
  if (!pending || Digest::of(browser) != pending->browser || pending->callback != callbackOf(at))
    throw refused("this sign-in is used up, too old, or another browser's");
  const ProviderUser user = checked(provider_.finish(query, pending->secret, pending->callback));
  return {sessions_.begin(user), pending->returnTo, user.username};
}

ProviderUser SignIn::checked(ProviderUser user) const {
  if (!User::isWord(user.id))
    throw Error(Status::Unauthenticated, "the provider names the user in a way we cannot use");
  if (!User::isWord(user.email) || emailDomain(user.email).empty()) user.emailVerified = false, user.email.clear();
  const std::string_view domain = emailDomain(user.email);
  const bool isOneOfThem = std::any_of(emailDomains_.begin(), emailDomains_.end(), [&](const std::string &allowed) {
    return user.emailVerified && http::sameText(allowed, domain);
  });
  if (!emailDomains_.empty() && !isOneOfThem)
    throw UserRefused("this platform is for people with a verified email address of its organisation", user.id);
  return user;
}

} // namespace matrixos::identity
