#include "DevelopmentProvider.h"

#include "Ids.h"

#include <matrixos/names.hpp>
#include <matrixos/status.hpp>

#include <http/pages/Page.h>

namespace matrixos::identity {

SignInStart DevelopmentProvider::begin(const std::string &callback) {
  SignInStart start;
  start.state = makeId();
  const std::size_t path = callback.find('/', callback.find("://") + 3);
  start.location = callback.substr(0, path) + kPath + "?state=" + start.state;
  return start;
}

ProviderUser DevelopmentProvider::finish(const std::multimap<std::string, std::string> &query, const std::string &,
                                         const std::string &) {
  const auto name = query.find("name");
  if (name == query.end() || !isEngineName(name->second))
    throw Error(Status::Unauthenticated, "a name has letters, digits and . _ - alone", "BAD_NAME");
  ProviderUser user;
  user.id = user.name = user.username = name->second;
  user.email = name->second + "@localhost";
  user.emailVerified = true;
  return user;
}

ProviderUser DevelopmentProvider::redeem(const std::string &) {
  throw Error(Status::Unimplemented, "with mode=none there are no tokens of a provider", "UNIMPLEMENTED");
}

std::string DevelopmentProvider::form(const std::string &state) {
  return "<h1>Sign in</h1><p>For development: you are who you say. The owner of an instance is its clerkUserId.</p>"
         "<form action=\"/auth/callback\"><input type=\"hidden\" name=\"state\" value=\"" +
         http::escapeHtml(state) +
         "\"><p><label>Name <input name=\"name\" required autofocus autocomplete=\"username\" maxlength=\"128\">"
         "</label> <button>Sign in</button></p></form>";
}

} // namespace matrixos::identity
