#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
#
# search.pl PATTERN FILE...: the lines of code that match, case ignored, as "file:line: code".
# Comments are no code: those of C in sources and headers, those with # in all other files.
use strict;
use warnings;

my $string  = qr{"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'}s;
my $comment = qr{/\*.*?\*/|//[^\n]*}s;

my $pattern = qr{@{[shift]}}i;
local $/; # whole files
for my $file (@ARGV) {
    open my $in, '<', $file or die "$file: $!\n";
    my $code = <$in> // '';
    if ($file =~ /\.[ch]$/) {
        # A comment leaves its line breaks behind, so that lines keep their numbers.
        $code =~ s{($string)|($comment)}{ defined $1 ? $1 : "\n" x ($2 =~ tr/\n//) }ge;
    } else {
        $code =~ s/#[^\n]*//g;
    }
    my $number = 0;
    for my $line (split /\n/, $code) {
        $number++;
        print "$file:$number: $line\n" if $line =~ $pattern;
    }
}
