#!/usr/bin/perl
# portal.pl CALLBACK FOLDER: the portal of LemonLDAP::NG as an OpenID provider on a free port of 127.0.0.1, which it prints.
# Its demonstration accounts (rtyler, dwho, msmith) have their names for passwords. All that it keeps is in FOLDER; what Debian has configured is not read. Clients are "RS256", with the secret "secret-of-RS256" (LemonLDAP::NG 2.16 does not
# decode what RFC 6749 §2.3.1 has clients encode, so it has to be plain), and "public", without one. Claims are at the
# userinfo endpoint alone.
use strict;
use warnings;
use Crypt::OpenSSL::RSA;
use HTTP::Server::PSGI;
use IO::Socket::INET;
use JSON;

my ($callback, $folder) = @ARGV == 2 ? @ARGV : die "portal.pl CALLBACK FOLDER\n";
mkdir "$folder/$_" or die "$folder/$_: $!\n" for qw(conf sessions sessions/lock psessions psessions/lock);
my $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => 0) or die "listen: $!\n";
my $issuer = 'http://127.0.0.1:' . $socket->sockport;

sub store {
  my ($name, @text) = @_;
  open my $out, '>', "$folder/$name" or die "$name: $!\n";
  print {$out} @text;
  close $out or die "$name: $!\n";
}

sub sessions {
  my ($name) = @_;
  return {
    Directory => "$folder/$name", LockDirectory => "$folder/$name/lock",
    generateModule => 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256',
  };
}

sub client {
  my ($id, %more) = @_;
  return {
    oidcRPMetaDataOptionsClientID => $id,
    oidcRPMetaDataOptionsRedirectUris => $callback,
    oidcRPMetaDataOptionsIDTokenSignAlg => 'RS256',
    oidcRPMetaDataOptionsUserIDAttr => 'uid',
    oidcRPMetaDataOptionsRequirePKCE => 1,
    oidcRPMetaDataOptionsBypassConsent => 1,
    %more,
  };
}

my %clients = (
  RS256 => client('RS256', oidcRPMetaDataOptionsClientSecret => 'secret-of-RS256'),
  public => client('public', oidcRPMetaDataOptionsPublic => 1),
);
my %claims = (
  email => 'mail', email_verified => 'verified;bool', name => 'cn', preferred_username => 'uid',
  groups => 'groups;string;always',
);
my $key = Crypt::OpenSSL::RSA->generate_key(2048);

store('conf/lmConf-1.json', JSON->new->encode({
  cfgNum => 1, cfgDate => 1, cfgVersion => '2.16.1', cfgAuthor => 'a test', key => 'only for tests',
  portal => "$issuer/", domain => '127.0.0.1', cookieName => 'lemonldap', securedCookie => 0,
  authentication => 'Demo', userDB => 'Same', passwordDB => 'Demo', whatToTrace => 'uid',
  demoExportedVars => { cn => 'cn', mail => 'mail', uid => 'uid' }, macros => { verified => '1' },
  exportedVars => {}, groups => {}, locationRules => {}, exportedHeaders => {}, applicationList => {},
  globalStorage => 'Apache::Session::File', globalStorageOptions => sessions('sessions'),
  persistentStorage => 'Apache::Session::File', persistentStorageOptions => sessions('psessions'),
  # No pictures to read letters from, nor the library that draws them: a plugin that does nothing is in their place.
  captcha => '::Main::Plugin', requireToken => 0,
  portalDisplayResetPassword => 0, portalDisplayRegister => 0, portalCheckLogins => 0, notification => 0,
  issuerDBOpenIDConnectActivation => 1, oidcServiceMetaDataIssuer => $issuer,
  oidcServicePrivateKeySig => $key->get_private_key_string, oidcServicePublicKeySig => $key->get_public_key_x509_string,
  oidcServiceKeyIdSig => 'key-RS256', oidcServiceAllowAuthorizationCodeFlow => 1,
  oidcRPMetaDataOptions => \%clients,
  oidcRPMetaDataExportedVars => { map { $_ => \%claims } keys %clients },
  oidcRPMetaDataOptionsExtraClaims => { map { $_ => { profile => 'name preferred_username groups' } } keys %clients },
}));
store('lemonldap-ng.ini', "[all]\nlogLevel = notice\n[configuration]\ntype = File\ndirName = $folder/conf\n",
  "[portal]\nstaticPrefix = /static\ntemplateDir = /usr/share/lemonldap-ng/portal/templates\nlanguages = en\n");

$ENV{LLNG_DEFAULTCONFFILE} = "$folder/lemonldap-ng.ini";
require Lemonldap::NG::Portal::Main;
my $portal = Lemonldap::NG::Portal::Main->run({});
$| = 1;
print 'port ', $socket->sockport, "\n";
HTTP::Server::PSGI->new(listen_sock => $socket)->run($portal);
