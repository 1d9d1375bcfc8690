# SF_BACKEND(NAME, DESCRIPTION, DEFAULT, [CHECKS]): one line of configure.ac a backend.
#
# Gives --enable-NAME and --disable-NAME, the conditional BACKEND_<NAME> and a line of the summary.
# DEFAULT is yes or no. CHECKS look for what the backend needs; where something is missing they set
# sf_reason to it in words. A backend that is there by default is then left out, and the summary says
# why; one that was asked for by --enable-NAME ends configure.
AC_DEFUN([SF_BACKEND], [m4_if([$3], [no],
  [_SF_BACKEND([$1], [--enable-$1], [build the $1 backend: $2], [no],
               [ask for it with --enable-$1], [$4])],
  [_SF_BACKEND([$1], [--disable-$1], [leave out the $1 backend: $2], [yes],
               [not wanted: --disable-$1], [$4])])])

# _SF_BACKEND(NAME, OPTION, HELP, DEFAULT, WHY NOT, CHECKS)
AC_DEFUN([_SF_BACKEND], [
AC_ARG_ENABLE([$1], [AS_HELP_STRING([$2], [$3])], [sf_wanted=$enableval], [sf_wanted=$4])
sf_reason=
AS_IF([test "x$sf_wanted" = xno], [sf_reason="$5"], [m4_default([$6], [:])])
AS_IF([test -z "$sf_reason"], [sf_backend_$1=yes],
      [test "x$enable_$1" = xyes], [AC_MSG_ERROR([--enable-$1: $sf_reason])],
      [sf_backend_$1=no])
AM_CONDITIONAL([BACKEND_]m4_toupper([$1]), [test $sf_backend_$1 = yes])
sf_line=`printf '  %-15s %s' "$1" "$sf_backend_$1${sf_reason:+ ($sf_reason)}"`
sf_backends_summary="$sf_backends_summary
$sf_line"
])
