// service-template: provides example.service-template/1. Replace count() by what your service does.
#include "service-template.h"

#include <matrixos/call.hpp>
#include <matrixos/json_text.hpp>
#include <matrixos/plugin.hpp>

#include <cctype>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace {

// The description for the host, from the header's list.
MOS_DESCRIBE_SERVICE(kService, SERVICE_TEMPLATE_1, SERVICE_TEMPLATE_1_MINOR, SERVICE_TEMPLATE_1_FUNCTIONS)

std::int64_t wordsIn(std::string_view text) {
  std::int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool letter = std::isspace(static_cast<unsigned char>(c)) == 0;
    if (letter && !inside) ++words;
    inside = letter;
  }
  return words;
}

class TemplatePlugin final : public matrixos::Plugin {
public:
  // Cheap: without I/O, since --check and others may create a plugin that never starts.
  explicit TemplatePlugin(const mos_host_v1 *host) : services_(host), store_(host) {
    table_.struct_size = sizeof table_;
    table_.minor = SERVICE_TEMPLATE_1_MINOR;
    table_.self = this;
    // Called on many threads at once. guarded() turns what is thrown into a status: no exception crosses the border.
    table_.count = [](void *self, const mos_call *, mos_str text, mos_buf *out, mos_error *error) {
      return matrixos::guarded(error, [&] {
        matrixos::giveBuffer(out, static_cast<TemplatePlugin *>(self)->count(matrixos::fromAbi(text)));
      });
    };
  }

  void start() override { services_.provide(SERVICE_TEMPLATE_1, "", &table_); }
  // The host has taken the service away and waited for the calls inside; threads of your own end here.
  void stop() override {}

private:
  std::string count(std::string_view text) {
    const std::int64_t words = wordsIn(text);
    if (words == 0) throw matrixos::Error(matrixos::Status::InvalidArgument, "the text has no words", "NO_WORDS");
    matrixos::JsonObject answer;
    answer.add("words", words).add("total", addToTotal(words));
    return std::move(answer).str();
  }

  /// The total lies in the host's key-value store, so it outlives the plugin and the daemon.
  std::int64_t addToTotal(std::int64_t words) {
    for (;;) {
      const auto now = store_.get("total");
      const std::int64_t total = (now ? std::stoll(now->bytes) : 0) + words;
      try {
        // Only if nobody was here in between.
        store_.put("total", std::to_string(total), now ? now->version : MOS_KV_ABSENT);
        return total;
      } catch (const matrixos::Error &e) {
        if (e.status() != matrixos::Status::Aborted) throw;
      }
    }
  }

  matrixos::Services services_;
  matrixos::KeyValueStore store_;
  service_template_v1 table_{};
};

constexpr mos_provide kProvides[] = {{SERVICE_TEMPLATE_1, nullptr, SERVICE_TEMPLATE_1_MINOR, 0}};
constexpr const mos_service_v1 *kServices[] = {&kService};

} // namespace

MATRIXOS_PLUGIN(TemplatePlugin, matrixos::Descriptor("service-template", "Template", "1.0.0")
                                    .vendor("Example")
                                    .license("MIT")
                                    .description("Counts words.")
                                    .provides(kProvides)
                                    .services(kServices))
