# matrixos_add_plugin(ID SOURCES… [LIBS…] [OUTPUT dir])
#
# Builds ID.so the way the ABI asks for: a module with hidden visibility that exports the entry function alone,
# without GNU-unique symbols (they would share inline statics between plugins even under RTLD_LOCAL), and that links
# nothing of the daemon. OUTPUT is where the file goes, by default <build>/plugins. The same function serves the plugins
# of the platform and those of third parties, who get it with find_package(matrixos-sdk).
function(matrixos_add_plugin id)
  set(map ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/plugin.map)
  cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;LIBS" ${ARGN})
  if(NOT id MATCHES "^[a-z][a-z0-9-]*$")
    message(FATAL_ERROR "matrixos_add_plugin: '${id}' is no plugin id; it has to match [a-z][a-z0-9-]*")
  endif()
  if(NOT arg_OUTPUT)
    set(arg_OUTPUT ${CMAKE_BINARY_DIR}/plugins)
  endif()
  add_library(${id} MODULE ${arg_SOURCES})
  set_target_properties(${id} PROPERTIES
    PREFIX "" OUTPUT_NAME ${id} SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY ${arg_OUTPUT}
    C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${id} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_compile_options(${id} PRIVATE $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-fno-gnu-unique>)
  target_link_libraries(${id} PRIVATE matrixos::sdk ${arg_LIBS})
  target_link_options(${id} PRIVATE -Wl,--exclude-libs,ALL -Wl,-z,now -Wl,--version-script=${map})
  set_property(TARGET ${id} APPEND PROPERTY LINK_DEPENDS ${map})
endfunction()
