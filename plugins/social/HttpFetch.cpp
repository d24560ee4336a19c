#include "HttpFetch.h"

#include <curl/curl.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string_view>

namespace matrixos::social {

namespace {

constexpr std::size_t kMaxHead = 64 * 1024;

/// libcurl wants to be initialised before the first use; that is thread-safe since 7.84.
void initialise() {
  static const CURLcode result = ::curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) throw FetchError(::curl_easy_strerror(result), false);
}

/// What the callbacks fill; they run inside curl_easy_perform() and must not throw.
struct Receiver {
  FetchReply reply;
  std::size_t maxBody;
  std::size_t head = 0;
  const char *refusal = nullptr;

  static std::size_t onHead(char *, std::size_t size, std::size_t count, void *self) noexcept {
    auto *to = static_cast<Receiver *>(self);
    to->head += size * count;
    if (to->head <= kMaxHead) return size * count;
    to->refusal = "its header is too long";
    return 0;
  }
  static std::size_t onBody(char *bytes, std::size_t size, std::size_t count, void *self) noexcept {
    auto *to = static_cast<Receiver *>(self);
    const std::size_t length = size * count;
    if (length > to->maxBody - to->reply.body.size()) {
      to->refusal = "its answer is too long";
      return 0;
    }
    try {
      to->reply.body.append(bytes, length);
    } catch (const std::bad_alloc &) {
      to->refusal = "there is no memory for its answer";
      return 0;
    }
    return length;
  }
};

struct EasyFree {
  void operator()(CURL *handle) const noexcept { ::curl_easy_cleanup(handle); }
};
struct ListFree {
  void operator()(curl_slist *list) const noexcept { ::curl_slist_free_all(list); }
};
struct UrlFree {
  void operator()(CURLU *url) const noexcept { ::curl_url_cleanup(url); }
};
using Easy = std::unique_ptr<CURL, EasyFree>;
using List = std::unique_ptr<curl_slist, ListFree>;

template <typename Value>
void set(CURL *handle, CURLoption option, Value value) {
  const CURLcode code = ::curl_easy_setopt(handle, option, value);
  if (code != CURLE_OK) throw FetchError(::curl_easy_strerror(code), false);
}

List requestHeaders(const FetchRequest &request) {
  List list;
  const auto add = [&list](const char *line) {
    curl_slist *longer = ::curl_slist_append(list.get(), line);
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
  };
  add("Accept: application/json");
  if (!request.body.empty()) {
    add("Content-Type: application/json");
    add("Expect:"); // no round trip for a "100 Continue" that an instance may never send
  }
  return list;
}

void configure(CURL *handle, const FetchRequest &request, curl_slist *headers, Receiver &receiver) {
  set(handle, CURLOPT_URL, request.url.c_str());
  set(handle, CURLOPT_PROTOCOLS_STR, "http");
  set(handle, CURLOPT_FOLLOWLOCATION, 0L);
  set(handle, CURLOPT_PROXY, "");
  set(handle, CURLOPT_NOPROXY, "*");
  set(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(handle, CURLOPT_HTTP09_ALLOWED, 0L);
  set(handle, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  set(handle, CURLOPT_FORBID_REUSE, 1L);
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.connectTimeout.count()));
  set(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
  set(handle, CURLOPT_USERAGENT, "matrixos-social");
  set(handle, CURLOPT_HTTPHEADER, headers);
  if (!request.body.empty()) {
    set(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(handle, CURLOPT_POSTFIELDS, request.body.data());
  }
  set(handle, CURLOPT_HEADERFUNCTION, &Receiver::onHead);
  set(handle, CURLOPT_HEADERDATA, &receiver);
  set(handle, CURLOPT_WRITEFUNCTION, &Receiver::onBody);
  set(handle, CURLOPT_WRITEDATA, &receiver);
}

} // namespace

FetchReply fetch(const FetchRequest &request) {
  initialise();
  const Easy handle(::curl_easy_init());
  if (!handle) throw std::bad_alloc();
  Receiver receiver{{}, request.maxBody};
  const List headers = requestHeaders(request);
  configure(handle.get(), request, headers.get(), receiver);
  const CURLcode code = ::curl_easy_perform(handle.get());
  if (code != CURLE_OK) {
    curl_off_t transferBegan = 0;
    ::curl_easy_getinfo(handle.get(), CURLINFO_PRETRANSFER_TIME_T, &transferBegan);
    throw FetchError(receiver.refusal != nullptr ? receiver.refusal : ::curl_easy_strerror(code), transferBegan != 0);
  }
  ::curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &receiver.reply.status);
  const char *type = nullptr;
  ::curl_easy_getinfo(handle.get(), CURLINFO_CONTENT_TYPE, &type);
  if (type != nullptr) receiver.reply.contentType = type;
  return std::move(receiver.reply);
}

std::string checkBaseUrl(const std::string &text) {
  const std::unique_ptr<CURLU, UrlFree> url(::curl_url());
  if (!url) throw std::bad_alloc();
  const CURLUcode code = ::curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER);
  if (code != CURLUE_OK) return ::curl_url_strerror(code);
  const auto part = [&](CURLUPart which) {
    char *value = nullptr;
    if (::curl_url_get(url.get(), which, &value, 0) != CURLUE_OK) return std::string();
    std::string copy(value);
    ::curl_free(value);
    return copy;
  };
  if (part(CURLUPART_SCHEME) != "http") return "it has to begin with http://";
  if (!part(CURLUPART_QUERY).empty() || !part(CURLUPART_FRAGMENT).empty()) return "it may have no query or fragment";
  const auto control = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7F; };
  if (std::any_of(text.begin(), text.end(), control)) return "it may have no spaces or control characters";
  return {};
}

} // namespace matrixos::social
