# One folder, one library, one way to say so.
#
#   weft_library(ipam SRCS ring.cc space.cc PUBLIC weft::base)
#   weft_test(ring SRCS ring_test.cc DEPS weft::ipam LABEL unit [TIMEOUT s] [ROOT])
#   weft_fuzz(ring_decode SRCS ring_decode_fuzz.cc DEPS weft::ipam CORPUS corpus/ring_decode)
#
# The target is weft_<name>, its alias weft::<name>. Includes are rooted at the repository, so a
# header is always named in full: #include "ipam/ring.h".

add_library(weft_warnings INTERFACE)
target_compile_features(weft_warnings INTERFACE cxx_std_20)
target_compile_options(weft_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wformat=2 -Wimplicit-fallthrough -Wundef
  # WEFT_TRY is a statement expression, a GNU extension both compilers have; libbpf skeletons and
  # -Wpedantic complain about it only in Clang.
  $<$<CXX_COMPILER_ID:Clang>:-Wno-gnu-statement-expression>
  $<$<BOOL:${WEFT_WERROR}>:-Werror>)
# What the sanitizers add makes GCC warn of members that nobody reads uninitialised (its manual says
# so under -fsanitize), and of Asio's fences, beside which Asio also has a mutex.
if(WEFT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(weft_warnings INTERFACE -Wno-maybe-uninitialized)
  if(WEFT_SANITIZE STREQUAL "thread")
    target_compile_options(weft_warnings INTERFACE -Wno-tsan)
  endif()
endif()

function(weft_library name)
  cmake_parse_arguments(ARG "" "" "SRCS;PUBLIC;PRIVATE" ${ARGN})
  add_library(weft_${name} STATIC ${ARG_SRCS})
  add_library(weft::${name} ALIAS weft_${name})
  target_include_directories(weft_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(weft_${name} PUBLIC ${ARG_PUBLIC} PRIVATE weft_warnings ${ARG_PRIVATE})
endfunction()

# ROOT marks tests that make real kernel objects; they run in namespaces of their own, one at a time.
function(weft_test name)
  cmake_parse_arguments(ARG "ROOT" "LABEL;TIMEOUT" "SRCS;DEPS" ${ARGN})
  add_executable(${name}_test ${ARG_SRCS})
  target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_test PRIVATE weft_warnings ${ARG_DEPS} GTest::gmock_main)
  add_test(NAME ${ARG_LABEL}.${name} COMMAND ${name}_test)
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(WEFT_SANITIZE)
    math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 10")  # Ten times slower is what TSan's manual warns of.
  endif()
  set_tests_properties(${ARG_LABEL}.${name} PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_ROOT)
    set_tests_properties(${ARG_LABEL}.${name} PROPERTIES RESOURCE_LOCK kernel)
  endif()
endfunction()

# With WEFT_FUZZ the target is a libFuzzer binary; without, the same source is linked to a main that
# replays the committed corpus, and that replay is a test in every preset.
add_custom_target(fuzz_targets)

function(weft_fuzz name)
  cmake_parse_arguments(ARG "" "CORPUS" "SRCS;DEPS" ${ARGN})
  add_executable(${name}_fuzz ${ARG_SRCS})
  target_include_directories(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name}_fuzz PRIVATE weft_warnings ${ARG_DEPS})
  add_dependencies(fuzz_targets ${name}_fuzz)
  if(WEFT_FUZZ)
    target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name}_fuzz PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cc)
    add_test(NAME fuzz.${name} COMMAND ${name}_fuzz ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_CORPUS})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()
